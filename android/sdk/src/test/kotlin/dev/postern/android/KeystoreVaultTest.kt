package dev.postern.android

import android.content.Context
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import dev.postern.sdk.VaultException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import java.io.File
import java.security.ProviderException
import java.security.UnrecoverableKeyException

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [28, 35])
class KeystoreVaultTest {
    private val context: Context get() = RuntimeEnvironment.getApplication()
    private val folder get() = File(context.noBackupFilesDir, "dev.postern.vault")

    @Before
    fun install() = SoftwareKeystore.install()

    @Test
    fun what_was_stored_is_there_for_the_next_process_and_not_readable_on_disk() {
        KeystoreVault(context).store("session", "令牌 token".toByteArray())
        assertArrayEquals("令牌 token".toByteArray(), KeystoreVault(context).load("session"))
        val onDisk = File(folder, "session").readBytes()
        assertFalse(String(onDisk, Charsets.ISO_8859_1).contains("token"))
        val spec = SoftwareKeystore.entries.getValue("dev.postern.vault").spec
        assertEquals(256, spec.keySize)
        assertEquals(listOf(KeyProperties.BLOCK_MODE_GCM), spec.blockModes.toList())
    }

    @Test
    fun nothing_stored_is_nothing_and_deleting_it_is_no_error() {
        val vault = KeystoreVault(context)
        assertNull(vault.load("session"))
        vault.delete("session")
        vault.store("session", byteArrayOf(1))
        vault.delete("session")
        assertNull(vault.load("session"))
    }

    @Test
    fun the_files_are_where_backups_do_not_reach() {
        KeystoreVault(context).store("session", byteArrayOf(1))
        assertTrue(folder.canonicalPath.startsWith(context.noBackupFilesDir.canonicalPath))
    }

    @Test
    fun a_blob_moved_to_another_name_does_not_open() {
        val vault = KeystoreVault(context)
        vault.store("session", byteArrayOf(1))
        File(folder, "session").copyTo(File(folder, "pending-login"))
        assertThrows(VaultException.KeyInvalidated::class.java) { vault.load("pending-login") }
    }

    @Test
    fun truncated_and_foreign_files_are_lost_and_never_crash() {
        for (broken in listOf(byteArrayOf(), byteArrayOf(1), ByteArray(13), ByteArray(40) { 1 }, ByteArray(40) { 9 })) {
            val vault = KeystoreVault(context)
            vault.store("session", byteArrayOf(1))
            File(folder, "session").writeBytes(broken)
            assertThrows(VaultException.KeyInvalidated::class.java) { vault.load("session") }
            assertNull("a clean start", vault.load("session"))
        }
    }

    @Test
    fun a_lost_key_takes_only_its_own_alias_and_files() {
        KeystoreVault(context, "the-apps-own").store("secret", byteArrayOf(7))
        val vault = KeystoreVault(context)
        vault.store("session", byteArrayOf(1))
        SoftwareKeystore.entries.remove("dev.postern.vault")
        assertThrows(VaultException.KeyInvalidated::class.java) { vault.load("session") }
        assertEquals(setOf("the-apps-own"), SoftwareKeystore.entries.keys)
        assertArrayEquals(byteArrayOf(7), KeystoreVault(context, "the-apps-own").load("secret"))
        vault.store("session", byteArrayOf(2))
        assertArrayEquals("and it works again", byteArrayOf(2), vault.load("session"))
    }

    @Test
    fun keys_that_are_gone_for_good_are_told_from_a_locked_keystore() {
        val lost = listOf(KeyPermanentlyInvalidatedException(), UnrecoverableKeyException("gone"))
        val away = listOf(UserNotAuthenticatedException(), ProviderException("busy"), IllegalStateException("dead service"))
        for (failure in lost) {
            val vault = KeystoreVault(context).apply { store("session", byteArrayOf(1)) }
            SoftwareKeystore.failure = failure
            assertThrows(VaultException.KeyInvalidated::class.java) { vault.load("session") }
            SoftwareKeystore.failure = null
        }
        for (failure in away) {
            val vault = KeystoreVault(context).apply { store("session", byteArrayOf(1)) }
            SoftwareKeystore.failure = failure
            assertThrows(VaultException.Unavailable::class.java) { vault.load("session") }
            assertThrows(VaultException.Unavailable::class.java) { vault.store("session", byteArrayOf(2)) }
            SoftwareKeystore.failure = null
            assertArrayEquals("nobody was signed out", byteArrayOf(1), vault.load("session"))
        }
    }

    @Test
    fun a_folder_that_cannot_be_written_is_a_failure_and_keeps_the_old_blob() {
        val vault = KeystoreVault(context)
        vault.store("session", byteArrayOf(1))
        // The folder's place is taken by a file: what a full or broken disk looks like to this code.
        val kept = File(folder, "session").readBytes()
        folder.deleteRecursively()
        folder.writeBytes(byteArrayOf(0))
        assertThrows(VaultException.Failed::class.java) { vault.store("session", byteArrayOf(2)) }
        folder.delete()
        folder.mkdirs()
        File(folder, "session").writeBytes(kept)
        assertArrayEquals(byteArrayOf(1), vault.load("session"))
    }

    @Test
    fun it_prints_no_more_than_its_alias() {
        assertEquals("KeystoreVault(dev.postern.vault)", KeystoreVault(context).toString())
    }
}
