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
 *
 * By kind, for each costs classes and native functions at the start of an app: [Kind.beDaemons] before the first object of its kind goes to the library,
 * as JNA asks when a callback is made.
 */
internal object CallbackThreads {
    internal class Kind(make: () -> List<Callback>) {
        val callbacks: List<Callback> by lazy(make)

        private val done: Unit by lazy {
            for (callback in callbacks) Native.setCallbackThreadInitializer(callback, daemon)
        }

        fun beDaemons(): Unit = done
    }

    private val daemon by lazy { CallbackThreadInitializer(true, false, "postern") }

    val futures: Kind = Kind { listOf(uniffiRustFutureContinuationCallbackImpl) }

    val deviceKey: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceDeviceKey.publicKey,
            uniffiCallbackInterfaceDeviceKey.sign,
            uniffiCallbackInterfaceDeviceKey.uniffiFree,
            uniffiCallbackInterfaceDeviceKey.uniffiClone,
        )
    }

    val log: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceLog.log,
            uniffiCallbackInterfaceLog.uniffiFree,
            uniffiCallbackInterfaceLog.uniffiClone,
        )
    }

    val listener: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceLoginListener.onState,
            uniffiCallbackInterfaceLoginListener.uniffiFree,
            uniffiCallbackInterfaceLoginListener.uniffiClone,
        )
    }

    val transport: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceTransport.send,
            uniffiCallbackInterfaceTransport.uniffiFree,
            uniffiCallbackInterfaceTransport.uniffiClone,
        )
    }

    val trust: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceTrustDecision.isTrusted,
            uniffiCallbackInterfaceTrustDecision.uniffiFree,
            uniffiCallbackInterfaceTrustDecision.uniffiClone,
        )
    }

    val vault: Kind = Kind {
        listOf(
            uniffiCallbackInterfaceVault.load,
            uniffiCallbackInterfaceVault.store,
            uniffiCallbackInterfaceVault.delete,
            uniffiCallbackInterfaceVault.description,
            uniffiCallbackInterfaceVault.uniffiFree,
            uniffiCallbackInterfaceVault.uniffiClone,
        )
    }

    /** Every callback that the generated code has. A test compares it with what was generated. */
    val all: List<Kind> = listOf(futures, deviceKey, log, listener, transport, trust, vault)
}
