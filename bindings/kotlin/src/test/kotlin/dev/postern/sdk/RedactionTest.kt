package dev.postern.sdk

import dev.postern.sdk.ffi.AccountSummary as FfiAccountSummary
import dev.postern.sdk.ffi.AuthorizationRequest as FfiAuthorizationRequest
import dev.postern.sdk.ffi.FaceInfo as FfiFaceInfo
import dev.postern.sdk.ffi.Identification as FfiIdentification
import dev.postern.sdk.ffi.LocalizedText as FfiLocalizedText
import dev.postern.sdk.ffi.Provider as FfiProvider
import dev.postern.sdk.ffi.SmsCodeInfo as FfiSmsCodeInfo
import java.lang.reflect.Modifier
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class RedactionTest {
    /** Every public class of the facade, from what was compiled: a new one can't be forgotten here. */
    private fun publicClasses(): List<Class<*>> = compiled("dev.postern.sdk")
        .filter { Modifier.isPublic(it.modifiers) && !it.isAnonymousClass && !it.isSynthetic }
        .filterNot { isInternal(it) }

    /** Kotlin's internal classes are public to the JVM. */
    private fun isInternal(type: Class<*>): Boolean = type.simpleName in setOf(
        "StateHub", "CallbackThreads", "AdapterDesk", "VaultAdapter", "DeviceKeyAdapter", "TransportAdapter", "TrustAdapter", "LogAdapter", "Warnings",
        "HostParts", "Kind",
    ) || type.simpleName.endsWith("Kt") || type.simpleName == "Companion" || type.simpleName == "DefaultImpls"

    @Test
    fun `every public class says itself what it prints`() {
        val silent = publicClasses()
            .filterNot { it.isInterface || it.isEnum || Throwable::class.java.isAssignableFrom(it) || Modifier.isAbstract(it.modifiers) }
            .filter { it.getMethod("toString").declaringClass == Any::class.java }
        assertEquals(emptyList<Class<*>>(), silent)
        assertTrue(publicClasses().size > 60, "the classes were found: ${publicClasses().size}")
    }

    @Test
    fun `no public class is a data class, whose toString would print every field`() {
        val data = publicClasses().filter { type -> type.methods.any { it.name == "component1" } }
        assertEquals(emptyList<Class<*>>(), data)
    }

    @Test
    fun `facts with something personal or secret print a placeholder`() {
        val text = FfiLocalizedText("柜台", "branch")
        val shown = listOf(
            AuthorizationRequest(FfiAuthorizationRequest(FfiProvider.WE_CHAT, "wx1", "scope", MARK, false)),
            ProviderReply(MARK, MARK, 0),
            SmsCodeInfo(FfiSmsCodeInfo(MARK, 6u, 5u, 60u, 600u, null, 600u)),
            FaceInfo(FfiFaceInfo(MARK, MARK, MARK, text, 3u, null, 600u)),
            AccountSummary(FfiAccountSummary(MARK, FfiIdentification.SIGNED, MARK, MARK, MARK, emptyList())),
        )
        for (one in shown) {
            assertFalse(MARK in "$one", "$one")
            assertTrue(one.javaClass.simpleName in "$one", "it says what it is: $one")
        }
    }

    @Test
    fun `the generated records under the facade print a placeholder too`() {
        val text = FfiLocalizedText("柜台", "branch")
        val shown = listOf<Any>(
            FfiAuthorizationRequest(FfiProvider.WE_CHAT, "wx1", "scope", MARK, false),
            FfiSmsCodeInfo(MARK, 6u, 5u, 60u, 600u, null, 600u),
            FfiFaceInfo(MARK, MARK, MARK, text, 3u, null, 600u),
            FfiAccountSummary(MARK, FfiIdentification.SIGNED, MARK, MARK, MARK, emptyList()),
        )
        for (one in shown) assertFalse(MARK in "$one", "$one")
    }

    @Test
    fun `nothing that a login and a session hand out prints a token, a code or a person's data`() {
        val center = FakeCenter()
        val shown = mutableListOf<String>()
        val spying = Transport { exchange ->
            shown += "$exchange"
            center.send(exchange)
        }
        Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = spying).use { postern ->
            val login = postern.login()
            login.observe { shown += "$it $login" }
            login.finish()
            val request = waiting { postern.session.authorize("GET", "https://api.bank.example/") }
            shown += listOf(
                "$request ${request.headers} ${request.headers.toMap()::class}",
                "$postern ${postern.session} ${postern.account} ${FakeCenter.config()}",
                "${waiting { postern.session.status() }} ${waiting { postern.account.summary() }}",
            )
            assertTrue(request.headers.getValue("Authorization").contains("SECRET-ACCESS"))
        }
        val secrets = center.secrets + listOf(FakeCenter.PERSONAL, "138****0000", FakeCenter.PHONE, "123456")
        for (secret in secrets) for (line in shown) assertFalse(secret in line, "$secret in $line")
        assertTrue(shown.any { "LoggedIn" in it })
    }

    @Test
    fun `no generated record or exception has a field that could hold a token`() {
        val records = compiled("dev.postern.sdk.ffi")
            .filter { type -> type.methods.any { it.name == "component1" } }
        assertTrue(records.size > 10)
        val wrong = records.flatMap { type -> type.declaredFields.map { type.simpleName to it.name } }
            .filter { (_, field) -> listOf("token", "password", "code", "proof", "secret", "authorization", "ticket").any { it == field.lowercase() } }
            // The stable word of a failure; no secret.
            .filterNot { (type, field) -> field == "code" && type in setOf("Failure", "Stop") }
        assertEquals(emptyList<Pair<String, String>>(), wrong)
    }

    private companion object {
        const val MARK = "SECRET-MARK"
    }
}
