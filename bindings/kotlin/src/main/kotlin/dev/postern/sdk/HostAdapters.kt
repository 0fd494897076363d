package dev.postern.sdk

import dev.postern.sdk.ffi.CallbackException
import dev.postern.sdk.ffi.DeviceKey as FfiDeviceKey
import dev.postern.sdk.ffi.DeviceKeyException as FfiDeviceKeyException
import dev.postern.sdk.ffi.HttpExchange as FfiHttpExchange
import dev.postern.sdk.ffi.Log as FfiLog
import dev.postern.sdk.ffi.LogLevel as FfiLogLevel
import dev.postern.sdk.ffi.Transport as FfiTransport
import dev.postern.sdk.ffi.TrustDecision as FfiTrustDecision
import dev.postern.sdk.ffi.Vault as FfiVault
import dev.postern.sdk.ffi.VaultException as FfiVaultException

// Each adapter catches Throwable: the generated code lets an Error through as success, and hands the stack trace of any other exception to Rust.

internal class VaultAdapter(private val vault: Vault) : FfiVault {
    init {
        CallbackThreads.vault.beDaemons()
    }

    override fun load(name: String): ByteArray? = guarded { vault.load(name) }

    override fun store(name: String, value: ByteArray): Unit = guarded { vault.store(name, value) }

    override fun delete(name: String): Unit = guarded { vault.delete(name) }

    override fun description(): String = guarded { vault.description }

    private inline fun <T> guarded(call: () -> T): T = try {
        call()
    } catch (thrown: Throwable) {
        throw when (thrown) {
            is VaultException.Unavailable -> FfiVaultException.Unavailable()
            is VaultException.KeyInvalidated -> FfiVaultException.KeyInvalidated()
            is VaultException.Damaged -> FfiVaultException.Damaged()
            else -> FfiVaultException.Failed()
        }
    }
}

internal class DeviceKeyAdapter(private val key: DeviceKey) : FfiDeviceKey {
    init {
        CallbackThreads.deviceKey.beDaemons()
    }

    override fun publicKey(): ByteArray = guarded { key.publicKey() }

    override fun sign(message: ByteArray): ByteArray = guarded { key.sign(message) }

    private inline fun <T> guarded(call: () -> T): T = try {
        call()
    } catch (thrown: Throwable) {
        throw when (thrown) {
            is DeviceKeyException.Unavailable -> FfiDeviceKeyException.Unavailable()
            is DeviceKeyException.Invalidated -> FfiDeviceKeyException.Invalidated()
            else -> FfiDeviceKeyException.Failed()
        }
    }
}

internal class TransportAdapter(private val transport: Transport) : FfiTransport {
    init {
        CallbackThreads.transport.beDaemons()
    }

    override fun send(exchange: FfiHttpExchange) {
        callback { transport.send(HttpExchange(exchange)) }
    }
}

internal class TrustAdapter(private val trust: TrustDecision) : FfiTrustDecision {
    init {
        CallbackThreads.trust.beDaemons()
    }

    override fun isTrusted(chain: List<ByteArray>, host: String): Boolean = callback { trust.isTrusted(chain, host) }
}

internal class LogAdapter(private val sink: LogSink) : FfiLog {
    init {
        CallbackThreads.log.beDaemons()
    }

    override fun log(level: FfiLogLevel, area: String, message: String) {
        callback { sink.log(level.toPublic(), area, message) }
    }
}

/** What the facade itself has to say. It knows nothing but the sink: whatever native code holds of it keeps no [Postern] alive. */
internal class Warnings(private val sink: LogSink?) {
    fun say(message: String) {
        try {
            sink?.log(LogLevel.WARN, "kotlin", message)
        } catch (_: Throwable) {
            // There is nobody left to tell.
        }
    }
}

/** What an app supplies besides its vault, as the generated code takes it. */
internal class HostParts(deviceKey: DeviceKey?, transport: Transport?, trust: TrustDecision?, val sink: LogSink?, logLevel: LogLevel) {
    val key: FfiDeviceKey? = deviceKey?.let { DeviceKeyAdapter(it) }
    val http: FfiTransport? = transport?.let { TransportAdapter(it) }
    val trust: FfiTrustDecision? = trust?.let { TrustAdapter(it) }
    val log: FfiLog? = sink?.let { LogAdapter(it) }
    val level: FfiLogLevel = logLevel.toFfi()
}

internal inline fun <T> callback(call: () -> T): T = try {
    call()
} catch (_: Throwable) {
    throw CallbackException.Failed()
}
