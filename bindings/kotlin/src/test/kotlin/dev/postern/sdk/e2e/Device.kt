package dev.postern.sdk.e2e

import dev.postern.sdk.BuiltInVault
import dev.postern.sdk.Login
import dev.postern.sdk.LoginState
import dev.postern.sdk.Postern
import dev.postern.sdk.PosternConfig
import java.io.File
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.withTimeoutOrNull

/** A phone with the SDK on it. Its vault outlives the process of the app. */
internal class Device(private val env: TestEnv, private val folder: File) : AutoCloseable {
    private var running: Running? = null

    private class Running(val postern: Postern, val login: Login, val states: Channel<LoginState>)

    val postern: Postern get() = checkNotNull(running) { "nothing runs on the phone" }.postern

    /** Starts the app's next process. The last one is dropped without a farewell, as a killed one is. */
    fun start() {
        running = null
        val config = PosternConfig(
            accountCenter = env.accountCenter,
            appId = env.appId,
            rootKey = env.rootKey,
            dataDir = File(folder, "app").path,
            connectTimeoutSeconds = 2,
            totalTimeoutSeconds = 3,
        )
        val postern = Postern.create(config, BuiltInVault.EncryptedFile(File(folder, "vault").path))
        val login = postern.login()
        val states = Channel<LoginState>(Channel.UNLIMITED)
        login.observe { states.trySend(it) }
        running = Running(postern, login, states)
    }

    /** The next announced state, other than resolving. */
    suspend fun nextState(): LoginState {
        val states = checkNotNull(running) { "nothing runs on the phone" }.states
        return withTimeoutOrNull(PATIENCE_MILLIS) {
            var state: LoginState
            do {
                state = states.receive()
            } while (state === LoginState.Resolving)
            state
        } ?: throw AssertionError("no state was announced for $PATIENCE_MILLIS ms")
    }

    /** A state that was announced and not read, other than resolving. */
    fun unread(): LoginState? {
        val states = running?.states ?: return null
        while (true) {
            val state = states.tryReceive().getOrNull() ?: return null
            if (state !== LoginState.Resolving) return state
        }
    }

    override fun close() {
        running?.postern?.close()
        running = null
    }

    private companion object {
        private const val PATIENCE_MILLIS = 60_000L
    }
}
