package dev.postern.sdk

/**
 * Keeps blobs by name, protected by the platform: Android's Keystore. Names are `[a-z_-]{1,40}`.
 *
 * Called on threads of the SDK; may block. Whatever it throws that is no [VaultException] counts as [VaultException.Failed].
 */
public interface Vault {
    /** The blob, or null where there never was one or it was deleted. */
    @Throws(VaultException::class)
    public fun load(name: String): ByteArray?

    /** Keeps the blob durably, replacing the old one as a whole. */
    @Throws(VaultException::class)
    public fun store(name: String, value: ByteArray)

    /** Removes the blob; no error where there is none. */
    @Throws(VaultException::class)
    public fun delete(name: String)

    /** Where, for people. */
    public val description: String
}

/** Why a [Vault] did not do it. The difference decides whether somebody is signed out. */
public sealed class VaultException(message: String) : Exception(message) {
    /** Locked, or its service is away: what is in it is still there. Never taken for signed out. */
    public class Unavailable : VaultException("the vault is not available at the moment")

    /** The key that protects it is lost for good (invalidated, another device). */
    public class KeyInvalidated : VaultException("the vault's key is lost")

    /** The blob is there, but it is not what was stored (truncated, tampered with): it can't be had back, the vault itself is well. */
    public class Damaged : VaultException("what the vault kept is damaged")

    /** Anything else, such as a full disk. */
    public class Failed : VaultException("the vault failed")
}

/** A vault that comes with the SDK, for desktops and tests. Phones bring their own [Vault]. */
public sealed class BuiltInVault {
    /** The desktop's keyring; on a Linux without one the kernel's session keyring, whose content is gone at reboot. */
    public class Keyring(
        /** The app's name in it. */
        public val service: String,
    ) : BuiltInVault() {
        override fun toString(): String = "Keyring($service)"
    }

    /** A file, encrypted with a key file beside it: it protects a backup of the one without the other, and no more. */
    public class EncryptedFile(
        /** The folder of both; made where it is missing. */
        public val folder: String,
    ) : BuiltInVault() {
        override fun toString(): String = "EncryptedFile($folder)"
    }

    /** Memory: nothing outlives the process. */
    public object Memory : BuiltInVault() {
        override fun toString(): String = "Memory"
    }
}

/**
 * An ES256 key that never leaves the device (RFC 9449): Android's Keystore.
 *
 * Called on threads of the SDK; may block, even for seconds (StrongBox).
 */
public interface DeviceKey {
    /** The public half, an uncompressed SEC1 point (65 bytes that begin with 4); makes the key where there is none yet. */
    @Throws(DeviceKeyException::class)
    public fun publicKey(): ByteArray

    /** ECDSA on P-256 with SHA-256 over [message], encoded in DER, as `SHA256withECDSA` gives it. */
    @Throws(DeviceKeyException::class)
    public fun sign(message: ByteArray): ByteArray
}

/** Why a [DeviceKey] did not sign. */
public sealed class DeviceKeyException(message: String) : Exception(message) {
    /** It can't be used at the moment (locked device, busy hardware). Nobody is signed out. */
    public class Unavailable : DeviceKeyException("the device key is not available at the moment")

    /** It is lost for good; a session bound to it can't go on. */
    public class Invalidated : DeviceKeyException("the device key is lost")

    /** Anything else. */
    public class Failed : DeviceKeyException("the device key failed")
}

/** An HTTP stack of the app's own. It follows no redirect, repeats nothing, keeps no cookie and no cache, and sees to TLS and time limits itself. */
public fun interface Transport {
    /** Starts [exchange] and returns at once; completes it later, from any thread. One that throws is a failed connection. */
    public fun send(exchange: HttpExchange)
}

/** Decides whether a chain of certificates is to be trusted, as the platform would. Called on threads of the SDK; may block. One that throws is a no. */
public fun interface TrustDecision {
    /** Whether [chain] (DER, the server's own certificate first) is to be trusted for [host] now. The name and the pins are checked besides. */
    public fun isTrusted(chain: List<ByteArray>, host: String): Boolean
}

/** Receives log messages. They hold no token, code, password, phone number or name of a person. Called on threads of the SDK; must not block. */
public fun interface LogSink {
    /** One message. [area] is the part of the SDK, such as `session`. */
    public fun log(level: LogLevel, area: String, message: String)
}

/** Hears the states of a [Login], in order, on a thread of the SDK. It must return soon. What it throws is logged by its class name, and the login goes on. */
public fun interface LoginObserver {
    /** The login stands here now; older states' steps answer [StepException.Superseded]. */
    public fun onState(state: LoginState)
}
