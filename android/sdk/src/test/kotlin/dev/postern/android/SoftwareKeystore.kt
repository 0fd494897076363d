package dev.postern.android

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.StrongBoxUnavailableException
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.KeyPairGeneratorSpi
import java.security.KeyStoreSpi
import java.security.PrivateKey
import java.security.Provider
import java.security.PublicKey
import java.security.SecureRandom
import java.security.Security
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.security.spec.ECGenParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import java.util.concurrent.ConcurrentHashMap
import javax.crypto.KeyGenerator
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey

/** The part of the Android Keystore that Robolectric lacks, in software, with faults on demand. It proves nothing about a phone's hardware. */
internal object SoftwareKeystore {
    class Entry(val key: Key, val certificate: Certificate?, val spec: KeyGenParameterSpec)

    val entries = ConcurrentHashMap<String, Entry>()

    /** Thrown by every use of a key. */
    @Volatile
    var failure: Exception? = null

    /** What a StrongBox does before it makes a key. */
    @Volatile
    var strongBox: () -> Unit = { throw StrongBoxUnavailableException() }

    fun install() {
        entries.clear()
        failure = null
        strongBox = { throw StrongBoxUnavailableException() }
        Security.removeProvider(KEYSTORE)
        Security.addProvider(Keystore())
    }

    private class Keystore : Provider(KEYSTORE, "1.0", "software, for tests") {
        init {
            put("KeyStore.$KEYSTORE", Store::class.java.name)
            put("KeyGenerator.AES", Aes::class.java.name)
            put("KeyPairGenerator.EC", Ec::class.java.name)
        }
    }

    class Aes : KeyGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun engineInit(random: SecureRandom?): Unit = throw UnsupportedOperationException()

        override fun engineInit(bits: Int, random: SecureRandom?): Unit = throw UnsupportedOperationException()

        override fun engineInit(parameters: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = parameters as KeyGenParameterSpec
        }

        override fun engineGenerateKey(): SecretKey {
            failure?.let { throw it }
            val key = KeyGenerator.getInstance("AES").apply { init(spec.keySize) }.generateKey()
            entries[spec.keystoreAlias] = Entry(key, null, spec)
            return key
        }
    }

    class Ec : KeyPairGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun initialize(bits: Int, random: SecureRandom?): Unit = throw UnsupportedOperationException()

        override fun initialize(parameters: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = parameters as KeyGenParameterSpec
        }

        override fun generateKeyPair(): KeyPair {
            failure?.let { throw it }
            if (spec.isStrongBoxBacked) strongBox()
            val pair = KeyPairGenerator.getInstance("EC", "BC").apply { initialize(spec.algorithmParameterSpec as ECGenParameterSpec) }.generateKeyPair()
            entries[spec.keystoreAlias] = Entry(pair.private, PublicHalf(pair.public), spec)
            return pair
        }
    }

    private class PublicHalf(private val key: PublicKey) : Certificate("X.509") {
        override fun getEncoded(): ByteArray = key.encoded

        override fun verify(key: PublicKey?): Unit = Unit

        override fun verify(key: PublicKey?, provider: String?): Unit = Unit

        override fun getPublicKey(): PublicKey = key

        override fun toString(): String = "PublicHalf"
    }

    class Store : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? {
            failure?.let { throw it }
            return entries[alias]?.key
        }

        override fun engineGetCertificate(alias: String): Certificate? = entries[alias]?.certificate

        override fun engineDeleteEntry(alias: String) {
            entries.remove(alias)
        }

        override fun engineContainsAlias(alias: String): Boolean = entries.containsKey(alias)

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(entries.keys)

        override fun engineSize(): Int = entries.size

        override fun engineIsKeyEntry(alias: String): Boolean = entries.containsKey(alias)

        override fun engineIsCertificateEntry(alias: String): Boolean = false

        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = entries[alias]?.certificate?.let { arrayOf(it) }

        override fun engineGetCertificateAlias(certificate: Certificate?): String? = null

        override fun engineGetCreationDate(alias: String): Date = Date(0)

        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<out Certificate>?): Unit =
            throw UnsupportedOperationException()

        override fun engineSetKeyEntry(alias: String, key: ByteArray?, chain: Array<out Certificate>?): Unit = throw UnsupportedOperationException()

        override fun engineSetCertificateEntry(alias: String, certificate: Certificate?): Unit = throw UnsupportedOperationException()

        override fun engineStore(stream: OutputStream?, password: CharArray?): Unit = Unit

        override fun engineLoad(stream: InputStream?, password: CharArray?): Unit = Unit
    }

    /** The key of [alias] as this provider's own. */
    fun privateKey(alias: String): PrivateKey = entries.getValue(alias).key as PrivateKey
}
