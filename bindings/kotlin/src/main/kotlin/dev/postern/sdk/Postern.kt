package dev.postern.sdk

import dev.postern.sdk.ffi.BuiltInVault as FfiBuiltInVault
import dev.postern.sdk.ffi.Postern as FfiPostern
import dev.postern.sdk.ffi.PosternConfig as FfiConfig
import java.util.concurrent.ExecutorService
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.asCoroutineDispatcher

/**
 * The SDK. An app makes one, off its main thread (the first call loads the native library), and keeps it.
 *
 * It owns threads until [close].
 */
public class Postern private constructor(
    private val ffi: FfiPostern,
    private val adapters: List<ProviderAdapter>,
    private val ownExecutor: ExecutorService?,
    private val dispatcher: CoroutineDispatcher,
    private val warn: Warnings,
) : AutoCloseable {
    private val lock = Any()

    /** Guarded by [lock]. */
    private var current: Login? = null

    /** Guarded by [lock]. */
    private var closed = false

    /** The session of this installation. */
    public val session: Session = Session(closableCall { ffi.session() })

    /** The account of who is logged in. */
    public val account: Account = Account(closableCall { ffi.account() })

    /** Where the session is kept, for people. */
    public val vaultDescription: String = closableCall { ffi.vaultDescription() }

    /** The buttons to show here, in their order (L1, L12). */
    public suspend fun loginOptions(): List<LoginButton> = optionsCall { ffi.loginOptions().map { LoginButton(it) } }

    /**
     * The login that is under way, also one that a process which died has left; a new one where there is none, or where the last one succeeded.
     *
     * A rotated screen calls it again and gets the same one.
     *
     * @throws StepException.Closed after [close]
     */
    public fun login(): Login = synchronized(lock) {
        if (closed) throw StepException.Closed("the SDK is shut down")
        val present = current
        if (present != null && !present.isClosed && present.state !is LoginState.LoggedIn) return present
        present?.close()
        Login(ffi, adapters, dispatcher, warn).also { current = it }
    }

    /** What to do before [operation] (such as `order.list`), which needs an identity (W8). */
    public suspend fun requireIdentity(operation: String): IdentityAdvice =
        closableCall { ffi.requireIdentity(operation).toPublic() }

    /**
     * Ends the SDK and its threads. May be repeated, and called from an observer. What is under way throws `Closed`; what was kept stays kept.
     *
     * Waits up to two seconds for a vault that is at work, unless it is called from a thread of the SDK.
     */
    override fun close() {
        val last: Login?
        synchronized(lock) {
            if (closed) return
            closed = true
            last = current
            current = null
        }
        last?.close()
        try {
            ffi.shutdown()
        } catch (_: Exception) {
            // A destructor of the app's that threw: the SDK is closed all the same.
        }
        session.close()
        account.close()
        ffi.destroy()
        ownExecutor?.shutdown()
    }

    override fun toString(): String = "Postern"

    public companion object {
        /**
         * The SDK over the app's own [vault]. Opens no connection and does not read the vault.
         *
         * @param deviceKey a key in hardware; without it a software key is kept in the vault
         * @param transport the app's HTTP stack; without it the SDK's own is used, which needs [trust] on Android
         * @param trust the platform's decision about certificates
         * @param adapters one for each provider that the SDK shall lead people to by itself
         * @param callbackDispatcher where [adapters] are called; by default a daemon thread of the SDK
         * @param log hears messages of [logLevel] and above
         * @throws SetupException
         */
        @JvmStatic
        @Throws(SetupException::class)
        public fun create(
            config: PosternConfig,
            vault: Vault,
            deviceKey: DeviceKey? = null,
            transport: Transport? = null,
            trust: TrustDecision? = null,
            adapters: List<ProviderAdapter> = emptyList(),
            callbackDispatcher: CoroutineDispatcher? = null,
            log: LogSink? = null,
            logLevel: LogLevel = LogLevel.INFO,
        ): Postern = put(config, adapters, callbackDispatcher, { HostParts(deviceKey, transport, trust, log, logLevel) }) { ffi, host ->
            FfiPostern(ffi, VaultAdapter(vault), host.key, host.http, host.trust, host.log, host.level)
        }

        /** The same over a vault that comes with the SDK; for desktops and tests. */
        @JvmStatic
        @Throws(SetupException::class)
        public fun create(
            config: PosternConfig,
            vault: BuiltInVault,
            deviceKey: DeviceKey? = null,
            transport: Transport? = null,
            trust: TrustDecision? = null,
            adapters: List<ProviderAdapter> = emptyList(),
            callbackDispatcher: CoroutineDispatcher? = null,
            log: LogSink? = null,
            logLevel: LogLevel = LogLevel.INFO,
        ): Postern = put(config, adapters, callbackDispatcher, { HostParts(deviceKey, transport, trust, log, logLevel) }) { ffi, host ->
            val chosen = when (vault) {
                is BuiltInVault.Keyring -> FfiBuiltInVault.Keyring(vault.service)
                is BuiltInVault.EncryptedFile -> FfiBuiltInVault.EncryptedFile(vault.folder)
                BuiltInVault.Memory -> FfiBuiltInVault.Memory
            }
            FfiPostern.withBuiltInVault(ffi, chosen, host.key, host.http, host.trust, host.log, host.level)
        }

        private fun put(
            config: PosternConfig,
            adapters: List<ProviderAdapter>,
            callbackDispatcher: CoroutineDispatcher?,
            parts: () -> HostParts,
            make: (FfiConfig, HostParts) -> FfiPostern,
        ): Postern {
            val (ffi, sink) = setupCall {
                CallbackThreads.futures.beDaemons()
                val host = parts()
                make(config.toFfi(), host) to host.sink
            }
            val executor = if (callbackDispatcher == null) daemonExecutor() else null
            val dispatcher = callbackDispatcher ?: checkNotNull(executor).asCoroutineDispatcher()
            return Postern(ffi, adapters.toList(), executor, dispatcher, Warnings(sink))
        }

        /** One thread, made when it is needed and gone when it is not. */
        private fun daemonExecutor(): ExecutorService {
            val factory = { work: Runnable -> Thread(work, "postern-callbacks").apply { isDaemon = true } }
            return ThreadPoolExecutor(1, 1, 10, TimeUnit.SECONDS, LinkedBlockingQueue(), factory)
                .apply { allowCoreThreadTimeOut(true) }
        }

        private inline fun <T> setupCall(call: () -> T): T = try {
            call()
        } catch (thrown: Exception) {
            throw translated(thrown, { SetupException.Internal(it) }, { SetupException.Internal(it) })
        } catch (thrown: LinkageError) {
            throw SetupException.LibraryUnusable("the native library can't be used: ${thrown.javaClass.simpleName}").apply { initCause(thrown) }
        }
    }
}
