package dev.postern.android

import android.annotation.TargetApi
import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import dev.postern.sdk.DeviceKey
import dev.postern.sdk.DeviceKeyException
import java.math.BigInteger
import java.security.GeneralSecurityException
import java.security.KeyPairGenerator
import java.security.PrivateKey
import java.security.ProviderException
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException

/**
 * The ES256 key that requests are bound to (RFC 9449), made in the phone's security hardware and never leaving it.
 *
 * StrongBox is used where there is one and it answers in [strongBoxSeconds]; a slow or failing one is passed over for the trusted execution environment. The key is
 * made at its first use, on a thread of the SDK.
 */
public class KeystoreDeviceKey @JvmOverloads constructor(
    context: Context,
    private val alias: String = "dev.postern.device-key",
    private val strongBoxSeconds: Long = 5,
) : DeviceKey {
    private val hasStrongBox = Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
        context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)

    /** A StrongBox key has an alias of its own, so that one which is finished too late is never taken for the key in use. */
    private val strongBoxAlias = "$alias.strongbox"

    @Synchronized
    override fun publicKey(): ByteArray = withKeystore {
        val alias = existing() ?: make()
        point(keyStore().getCertificate(alias).publicKey as ECPublicKey)
    }

    @Synchronized
    override fun sign(message: ByteArray): ByteArray = withKeystore {
        val alias = existing() ?: throw DeviceKeyException.Invalidated()
        val key = keyStore().getKey(alias, null) as PrivateKey? ?: throw DeviceKeyException.Invalidated()
        Signature.getInstance("SHA256withECDSA").run {
            initSign(key)
            update(message)
            sign()
        }
    }

    override fun toString(): String = "KeystoreDeviceKey($alias)"

    private fun existing(): String? {
        val keys = keyStore()
        return when {
            keys.containsAlias(alias) -> alias
            keys.containsAlias(strongBoxAlias) -> strongBoxAlias
            else -> null
        }
    }

    private fun make(): String {
        if (hasStrongBox && makeInStrongBox()) return strongBoxAlias
        generate(builder(alias).build())
        return alias
    }

    @TargetApi(Build.VERSION_CODES.P)
    private fun makeInStrongBox(): Boolean {
        val spec = builder(strongBoxAlias).setIsStrongBoxBacked(true).build()
        val making = FutureTask { generate(spec) }
        Thread(making, "postern-strongbox").apply { isDaemon = true }.start()
        return try {
            making.get(strongBoxSeconds, TimeUnit.SECONDS)
            true
        } catch (_: TimeoutException) {
            making.cancel(true)
            false
        } catch (_: ExecutionException) {
            false
        }
    }

    private fun builder(alias: String) = KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_SIGN)
        .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
        .setDigests(KeyProperties.DIGEST_SHA256)

    private fun generate(spec: KeyGenParameterSpec) {
        KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, KEYSTORE).apply { initialize(spec) }.generateKeyPair()
    }

    private inline fun <T> withKeystore(work: () -> T): T = try {
        work()
    } catch (failure: Exception) {
        throw when {
            failure is DeviceKeyException -> failure
            KeystoreFailure.of(failure) == KeystoreFailure.LOST -> {
                forget()
                DeviceKeyException.Invalidated()
            }
            failure is GeneralSecurityException || failure is ProviderException || failure is IllegalStateException -> DeviceKeyException.Unavailable()
            else -> DeviceKeyException.Failed()
        }
    }

    /** A lost key would be lost again at every call: the next [publicKey] makes a new one. */
    private fun forget() {
        for (lost in listOf(alias, strongBoxAlias)) {
            try {
                keyStore().deleteEntry(lost)
            } catch (_: GeneralSecurityException) {
                // Nothing to be done about it; publicKey() says what holds.
            }
        }
    }

    private companion object {
        const val COORDINATE = 32
        const val UNCOMPRESSED: Byte = 4

        /** The uncompressed SEC1 point. */
        fun point(key: ECPublicKey): ByteArray =
            byteArrayOf(UNCOMPRESSED) + coordinate(key.w.affineX) + coordinate(key.w.affineY)

        /** Big-endian, 32 bytes: without the sign byte, with leading zeros. */
        fun coordinate(value: BigInteger): ByteArray {
            val bytes = value.toByteArray()
            val start = maxOf(0, bytes.size - COORDINATE)
            return ByteArray(COORDINATE).also { bytes.copyInto(it, COORDINATE - (bytes.size - start), start) }
        }
    }
}
