package dev.postern.sdk

import com.sun.jna.Callback
import com.sun.jna.CallbackThreadInitializer
import com.sun.jna.Native
import dev.postern.sdk.ffi.uniffiCallbackInterfaceDeviceKey
import dev.postern.sdk.ffi.uniffiCallbackInterfaceLog
import dev.postern.sdk.ffi.uniffiCallbackInterfaceLoginListener
import dev.postern.sdk.ffi.uniffiCallbackInterfaceTransport
import dev.postern.sdk.ffi.uniffiCallbackInterfaceTrustDecision
import dev.postern.sdk.ffi.uniffiCallbackInterfaceVault
import dev.postern.sdk.ffi.uniffiRustFutureContinuationCallbackImpl

/**
 * JNA would give each callback a new thread object that is no daemon: the process would not end by itself, and every callback would pay for it. So the
 * SDK's threads are attached once, as daemons.
 */
internal object CallbackThreads {
    /** Every callback that the generated code has. A test compares it with what was generated. */
    val all: List<Callback> = listOf(
        uniffiRustFutureContinuationCallbackImpl,
        uniffiCallbackInterfaceDeviceKey.publicKey,
        uniffiCallbackInterfaceDeviceKey.sign,
        uniffiCallbackInterfaceDeviceKey.uniffiFree,
        uniffiCallbackInterfaceDeviceKey.uniffiClone,
        uniffiCallbackInterfaceLog.log,
        uniffiCallbackInterfaceLog.uniffiFree,
        uniffiCallbackInterfaceLog.uniffiClone,
        uniffiCallbackInterfaceLoginListener.onState,
        uniffiCallbackInterfaceLoginListener.uniffiFree,
        uniffiCallbackInterfaceLoginListener.uniffiClone,
        uniffiCallbackInterfaceTransport.send,
        uniffiCallbackInterfaceTransport.uniffiFree,
        uniffiCallbackInterfaceTransport.uniffiClone,
        uniffiCallbackInterfaceTrustDecision.isTrusted,
        uniffiCallbackInterfaceTrustDecision.uniffiFree,
        uniffiCallbackInterfaceTrustDecision.uniffiClone,
        uniffiCallbackInterfaceVault.load,
        uniffiCallbackInterfaceVault.store,
        uniffiCallbackInterfaceVault.delete,
        uniffiCallbackInterfaceVault.description,
        uniffiCallbackInterfaceVault.uniffiFree,
        uniffiCallbackInterfaceVault.uniffiClone,
    )

    private val done: Unit by lazy {
        val daemon = CallbackThreadInitializer(true, false, "postern")
        for (callback in all) Native.setCallbackThreadInitializer(callback, daemon)
    }

    /** Before the first call into the library: JNA asks when a callback is made, and the first call makes them all. */
    fun beDaemons(): Unit = done
}
