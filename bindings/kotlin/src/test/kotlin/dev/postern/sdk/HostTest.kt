package dev.postern.sdk

import java.security.AlgorithmParameters
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.security.spec.ECParameterSpec
import java.security.spec.ECPoint
import java.security.spec.ECPublicKeySpec
import java.math.BigInteger
import java.util.Base64
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

internal class HostTest {
    private val center = FakeCenter()
    private val vault = MapVault()
    private val log = KeptLog()

    private fun made(deviceKey: DeviceKey? = null, transport: Transport = center): Postern =
        Postern.create(FakeCenter.config(), vault, deviceKey, transport, log = log, logLevel = LogLevel.DEBUG)

    @Test
    fun `the app's vault keeps the session over a restart`() {
        made().use { it.login().finish() }
        made().use { postern ->
            val status = waiting { postern.session.status() }
            assertEquals("u-1", (status as SessionStatus.SignedIn).account.userId)
            assertEquals("a map", postern.vaultDescription)
        }
    }

    @Test
    fun `a locked vault is never taken for signed out`() {
        made().use { it.login().finish() }
        for (trouble in listOf<() -> Throwable>({ VaultException.Unavailable() })) {
            vault.trouble = trouble
            made().use { postern ->
                assertEquals(SessionStatus.Unavailable, waiting { postern.session.status() })
                vault.trouble = null
                assertTrue(waiting { postern.session.status() } is SessionStatus.SignedIn)
            }
        }
    }

    @Test
    fun `a vault whose key is lost says so, and a login goes on from there`() {
        made().use { it.login().finish() }
        vault.trouble = { VaultException.KeyInvalidated() }
        made().use { postern ->
            val status = waiting { postern.session.status() }
            assertEquals(NeedsLoginReason.VAULT_KEY_LOST, (status as SessionStatus.NeedsLogin).reason)
        }
    }

    @Test
    fun `a blob that is damaged needs a login, and the next one is kept`() {
        made().use { it.login().finish() }
        vault.trouble = { VaultException.Damaged() }
        made().use { postern ->
            val status = waiting { postern.session.status() }
            assertEquals(NeedsLoginReason.STORED_SESSION_UNREADABLE, (status as SessionStatus.NeedsLogin).reason)
            vault.trouble = null
            postern.login().finish()
        }
        made().use { assertTrue(waiting { it.session.status() } is SessionStatus.SignedIn) }
    }

    @Test
    fun `a vault that throws anything at all, an Error too, hangs nothing and is not quoted`() {
        for (thrown in listOf<() -> Throwable>({ RuntimeException("SECRET-DETAIL") }, { NotImplementedError("SECRET-DETAIL") }, { StackOverflowError() })) {
            vault.trouble = thrown
            made().use { postern ->
                assertEquals(SessionStatus.Unavailable, waiting { postern.session.status() })
                val ready = postern.login().await<LoginState.Ready>()
                assertEquals(FailureKind.DEVICE, ready.info.failure?.kind, "$ready")
            }
        }
        assertTrue(log.lines.none { "SECRET-DETAIL" in it || "HostTest" in it }, log.lines.toString())
    }

    @Test
    fun `a vault that refuses to save is not logged in, the person is told, and may try again`() {
        made().use { postern ->
            val login = postern.login()
            center.special = { request ->
                // From the session's reply on the disk is full.
                if ("\"sms_code\"" in request.body) vault.trouble = { VaultException.Failed() }
                null
            }
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            val authorizing = login.await<LoginState.Authorizing>()
            waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
            waiting { login.await<LoginState.PhoneNeeded>().step.submit(FakeCenter.PHONE) }
            waiting { login.await<LoginState.SmsCodeNeeded>().step.submit("123456") }
            val stopped = login.await<LoginState.Stopped>()
            assertEquals(StopReason.SESSION_NOT_SAVED, stopped.stop.reason)
            assertTrue(stopped.stop.canTryAgain)
            vault.trouble = null
            assertFalse(waiting { postern.session.status() } is SessionStatus.SignedIn)
            waiting { stopped.step.tryAgain() }
            login.await<LoginState.LoggedIn>()
            assertTrue(waiting { postern.session.status() } is SessionStatus.SignedIn)
        }
    }

    @Test
    fun `the app's device key signs the proofs`() {
        val key = JavaKey()
        made(key).use { it.login().finish() }
        val proof = center.seen.last { it.path == "/v1/login" }.headers.getValue("dpop")
        val (header, claims, signature) = proof.split(".")
        val jwk = Json.parseToJsonElement(String(decode(header))).jsonObject.getValue("jwk").jsonObject
        fun coordinate(name: String) = BigInteger(1, decode(jwk.getValue(name).jsonPrimitive.content))
        val parameters = AlgorithmParameters.getInstance("EC").apply { init(ECGenParameterSpec("secp256r1")) }
        val spec = ECPublicKeySpec(ECPoint(coordinate("x"), coordinate("y")), parameters.getParameterSpec(ECParameterSpec::class.java))
        val check = Signature.getInstance("SHA256withECDSAinP1363Format")
        check.initVerify(KeyFactory.getInstance("EC").generatePublic(spec))
        check.update("$header.$claims".toByteArray())
        assertTrue(check.verify(decode(signature)))
    }

    @Test
    fun `a device key that is locked, lost, or throws an Error fails the answer and not the app`() {
        for (thrown in listOf<() -> Throwable>({ DeviceKeyException.Unavailable() }, { DeviceKeyException.Invalidated() }, { NotImplementedError("SECRET-DETAIL") })) {
            val key = object : DeviceKey {
                override fun publicKey(): ByteArray = throw thrown()

                override fun sign(message: ByteArray): ByteArray = throw thrown()
            }
            vault.blobs.clear()
            made(key).use { postern ->
                val login = postern.login()
                waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
                val authorizing = login.await<LoginState.Authorizing>()
                waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
                assertEquals(FailureKind.DEVICE, login.await<LoginState.Ready>().info.failure?.kind)
            }
        }
        assertTrue(log.lines.none { "SECRET-DETAIL" in it }, log.lines.toString())
    }

    @Test
    fun `a transport that throws is a failed connection`() {
        for (thrown in listOf<() -> Throwable>({ RuntimeException("SECRET-DETAIL") }, { NotImplementedError("SECRET-DETAIL") })) {
            made(transport = { throw thrown() }).use { postern ->
                assertThrows<OptionsException> { waiting { postern.loginOptions() } }
            }
        }
    }

    @Test
    fun `an exchange is completed once, and one that was let go is a failed connection`() {
        val answers = mutableListOf<Boolean>()
        made(transport = { exchange ->
            answers += exchange.fail(TransportFailure.TLS)
            answers += exchange.reply(200, emptyMap(), ByteArray(0))
        }).use { postern ->
            assertThrows<OptionsException.Untrusted> { waiting { postern.loginOptions() } }
            assertEquals(listOf(true, false), answers)
        }
    }

    @Test
    fun `buttons of providers that this version does not know are left out`() {
        made().use { postern ->
            val buttons = waiting { postern.loginOptions() }
            assertEquals(listOf(Provider.WECHAT), buttons.map { it.provider })
            assertEquals("微信登录", buttons.single().label.forLanguage("zh-CN"))
        }
    }

    @Test
    fun `the log hook hears the SDK's own code and no secret at any level`() {
        made().use { postern ->
            postern.login().finish()
            waiting { postern.session.renew() }
            waiting { postern.account.summary() }
            waiting { postern.session.signOut() }
        }
        assertTrue(log.lines.isNotEmpty())
        val secrets = center.secrets + listOf(FakeCenter.PHONE, FakeCenter.PERSONAL, "138****0000", "123456")
        for (secret in secrets) assertTrue(log.lines.none { secret in it }, "$secret in ${log.lines}")
    }

    @Test
    fun `a log sink that throws an Error ends nothing`() {
        Postern.create(FakeCenter.config(), vault, transport = center, log = { _, _, _ -> throw NotImplementedError() }, logLevel = LogLevel.DEBUG)
            .use { it.login().finish() }
    }

    @Test
    fun `a wrong configuration is refused and says which value`() {
        fun refused(config: PosternConfig): String =
            assertThrows<SetupException.ConfigInvalid> { Postern.create(config, BuiltInVault.Memory) }.message!!
        val good = FakeCenter.config()
        assertTrue("account_center" in refused(PosternConfig("http://login.bank.example", good.appId, good.rootKey)))
        assertTrue("root_key" in refused(PosternConfig(good.accountCenter, good.appId, "AAAA")))
        assertTrue("app_id" in refused(PosternConfig(good.accountCenter, "", good.rootKey)))
        assertTrue("api_origins" in refused(PosternConfig(good.accountCenter, good.appId, good.rootKey, apiOrigins = listOf("x"))))
        assertTrue("totalTimeoutSeconds" in refused(PosternConfig(good.accountCenter, good.appId, good.rootKey, totalTimeoutSeconds = 0)))
        assertThrows<SetupException.VaultUnusable> { Postern.create(good, BuiltInVault.EncryptedFile("/proc/no/such/folder")) }
    }

    private fun decode(text: String): ByteArray = Base64.getUrlDecoder().decode(text)

    /** A key of the JVM, as Android's Keystore would give one. */
    private class JavaKey : DeviceKey {
        private val pair = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }.generateKeyPair()

        override fun publicKey(): ByteArray {
            val point = (pair.public as ECPublicKey).w
            return byteArrayOf(4) + fixed(point.affineX) + fixed(point.affineY)
        }

        override fun sign(message: ByteArray): ByteArray =
            Signature.getInstance("SHA256withECDSA").run {
                initSign(pair.private)
                update(message)
                sign()
            }

        private fun fixed(number: BigInteger): ByteArray {
            val bytes = number.toByteArray().dropWhile { it == 0.toByte() }.toByteArray()
            return ByteArray(32 - bytes.size) + bytes
        }
    }
}
