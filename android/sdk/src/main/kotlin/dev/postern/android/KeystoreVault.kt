package dev.postern.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import android.util.AtomicFile
import dev.postern.sdk.Vault
import dev.postern.sdk.VaultException
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.ProviderException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * A [Vault] of files, each encrypted (AES-256-GCM) with a key that the Android Keystore holds and never gives out.
 *
 * The files are in the folder that Android leaves out of backups, so a restored phone starts clean. A key that is lost for good takes with it only what it
 * protected: this vault's files and its own alias, nothing else of the app.
 *
 * @param alias the key's name in the Keystore; one vault for one alias
 */
public class KeystoreVault @JvmOverloads constructor(context: Context, private val alias: String = "dev.postern.vault") : Vault {
    private val folder = File(context.noBackupFilesDir, alias)

    override val description: String
        get() = "the Android Keystore"

    @Synchronized
    override fun load(name: String): ByteArray? {
        val stored = try {
            file(name).readFully()
        } catch (_: FileNotFoundException) {
            return null
        } catch (_: IOException) {
            throw VaultException.Unavailable()
        }
        return withKeystore {
            val key = existingKey()
            if (key == null || stored.size <= HEADER || stored[0] != FORMAT) throw LostKey()
            val cipher = Cipher.getInstance(TRANSFORMATION)
            cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, stored, 1, IV))
            cipher.updateAAD(context(name))
            cipher.doFinal(stored, HEADER, stored.size - HEADER)
        }
    }

    @Synchronized
    override fun store(name: String, value: ByteArray) {
        val sealed = withKeystore {
            val cipher = Cipher.getInstance(TRANSFORMATION)
            // The Keystore chooses the IV itself, new for each encryption.
            cipher.init(Cipher.ENCRYPT_MODE, existingKey() ?: newKey())
            cipher.updateAAD(context(name))
            val body = cipher.doFinal(value)
            ByteArrayOutputStream(HEADER + body.size).apply {
                write(FORMAT.toInt())
                write(cipher.iv)
                write(body)
            }.toByteArray()
        }
        if (!folder.isDirectory && !folder.mkdirs()) throw VaultException.Failed()
        val file = file(name)
        val out = try {
            file.startWrite()
        } catch (_: IOException) {
            throw VaultException.Failed()
        }
        try {
            out.write(sealed)
            // Written through to the disk, then renamed over the old one: after a crash there is the old or the new.
            file.finishWrite(out)
        } catch (_: IOException) {
            file.failWrite(out)
            throw VaultException.Failed()
        }
    }

    @Synchronized
    override fun delete(name: String) {
        file(name).delete()
    }

    override fun toString(): String = "KeystoreVault($alias)"

    private fun file(name: String): AtomicFile {
        require(NAME.matches(name)) { "not a name of the vault" }
        return AtomicFile(File(folder, name))
    }

    /** A blob under another name does not open. */
    private fun context(name: String): ByteArray = "postern vault 1\u0000$name".toByteArray()

    private fun existingKey(): SecretKey? = keyStore().getKey(alias, null) as SecretKey?

    private fun newKey(): SecretKey {
        val spec = KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(KEY_BITS)
            .build()
        return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, KEYSTORE).apply { init(spec) }.generateKey()
    }

    private class LostKey : GeneralSecurityException()

    private inline fun <T> withKeystore(work: () -> T): T = try {
        work()
    } catch (failure: Exception) {
        when {
            failure is LostKey || KeystoreFailure.of(failure) == KeystoreFailure.LOST -> {
                forget()
                throw VaultException.KeyInvalidated()
            }
            failure is GeneralSecurityException || failure is ProviderException || failure is IllegalStateException || failure is IOException ->
                throw VaultException.Unavailable()
            else -> throw VaultException.Failed()
        }
    }

    /** What can't be read any more goes, and with it its key; the next [store] begins anew. */
    private fun forget() {
        folder.listFiles()?.forEach { it.delete() }
        try {
            keyStore().deleteEntry(alias)
        } catch (_: GeneralSecurityException) {
            // The next store() makes a new key under the same alias, or says that it can't.
        }
    }

    private companion object {
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val KEY_BITS = 256
        const val TAG_BITS = 128
        const val IV = 12
        const val HEADER = 1 + IV
        const val FORMAT: Byte = 1
        val NAME = Regex("[a-z_-]{1,40}")
    }
}

internal const val KEYSTORE = "AndroidKeyStore"

internal fun keyStore(): KeyStore = KeyStore.getInstance(KEYSTORE).apply { load(null) }
