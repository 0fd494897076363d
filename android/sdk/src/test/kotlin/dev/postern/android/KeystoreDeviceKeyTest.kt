package dev.postern.android

import android.content.Context
import android.content.pm.PackageManager
import android.security.keystore.KeyPermanentlyInvalidatedException
import dev.postern.sdk.DeviceKeyException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.math.BigInteger
import java.security.AlgorithmParameters
import java.security.KeyFactory
import java.security.ProviderException
import java.security.Signature
import java.security.spec.ECGenParameterSpec
import java.security.spec.ECParameterSpec
import java.security.spec.ECPoint
import java.security.spec.ECPublicKeySpec
import java.util.concurrent.CountDownLatch

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [28, 35])
class KeystoreDeviceKeyTest {
    private val context: Context get() = RuntimeEnvironment.getApplication()

    @Before
    fun install() = SoftwareKeystore.install()

    private fun haveStrongBox(behaviour: () -> Unit) {
        shadowOf(context.packageManager).setSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE, true)
        SoftwareKeystore.strongBox = behaviour
    }

    /** Checks as a server would: from the 65 bytes alone. */
    private fun verifies(point: ByteArray, message: ByteArray, signature: ByteArray): Boolean {
        val curve = AlgorithmParameters.getInstance("EC", "BC").apply { init(ECGenParameterSpec("secp256r1")) }
            .getParameterSpec(ECParameterSpec::class.java)
        val x = BigInteger(1, point.copyOfRange(1, 33))
        val y = BigInteger(1, point.copyOfRange(33, 65))
        val key = KeyFactory.getInstance("EC", "BC").generatePublic(ECPublicKeySpec(ECPoint(x, y), curve))
        return Signature.getInstance("SHA256withECDSA", "BC").run {
            initVerify(key)
            update(message)
            verify(signature)
        }
    }

    @Test
    fun its_signature_verifies_with_the_65_byte_point_whatever_the_coordinates_look_like() {
        repeat(40) {
            SoftwareKeystore.install()
            val key = KeystoreDeviceKey(context)
            val point = key.publicKey()
            assertEquals(65, point.size)
            assertEquals(4.toByte(), point[0])
            assertTrue(verifies(point, "proof".toByteArray(), key.sign("proof".toByteArray())))
            assertFalse(verifies(point, "other".toByteArray(), key.sign("proof".toByteArray())))
        }
    }

    @Test
    fun the_next_process_finds_the_same_key() {
        val point = KeystoreDeviceKey(context).publicKey()
        assertArrayEquals(point, KeystoreDeviceKey(context).publicKey())
        assertEquals(setOf("dev.postern.device-key"), SoftwareKeystore.entries.keys)
    }

    @Test
    fun a_strongbox_that_answers_is_used() {
        haveStrongBox { }
        KeystoreDeviceKey(context).publicKey()
        val entry = SoftwareKeystore.entries.getValue("dev.postern.device-key.strongbox")
        assertTrue(entry.spec.isStrongBoxBacked)
    }

    @Test
    fun a_strongbox_that_fails_is_passed_over() {
        haveStrongBox { throw ProviderException("no room") }
        KeystoreDeviceKey(context).publicKey()
        assertEquals(setOf("dev.postern.device-key"), SoftwareKeystore.entries.keys)
    }

    @Test
    fun a_strongbox_that_is_too_slow_is_passed_over_and_its_late_key_is_never_used() {
        val late = CountDownLatch(1)
        haveStrongBox { late.await() }
        val key = KeystoreDeviceKey(context, strongBoxSeconds = 0)
        val point = key.publicKey()
        late.countDown()
        assertArrayEquals(point, key.publicKey())
        assertTrue(verifies(point, byteArrayOf(1), key.sign(byteArrayOf(1))))
    }

    @Test
    fun a_lost_key_is_told_from_a_locked_one() {
        val key = KeystoreDeviceKey(context)
        val first = key.publicKey()
        SoftwareKeystore.failure = ProviderException("busy")
        assertThrows(DeviceKeyException.Unavailable::class.java) { key.sign(byteArrayOf(1)) }
        SoftwareKeystore.failure = null
        assertArrayEquals(first, key.publicKey())
        SoftwareKeystore.failure = KeyPermanentlyInvalidatedException()
        assertThrows(DeviceKeyException.Invalidated::class.java) { key.sign(byteArrayOf(1)) }
        SoftwareKeystore.failure = null
        assertThrows("nothing signs until a new key is asked for", DeviceKeyException.Invalidated::class.java) { key.sign(byteArrayOf(1)) }
        assertFalse(first.contentEquals(key.publicKey()))
    }
}
