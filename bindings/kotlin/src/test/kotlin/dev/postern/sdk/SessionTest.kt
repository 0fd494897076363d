package dev.postern.sdk

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

internal class SessionTest {
    private val center = FakeCenter()
    private val postern = Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = center)
    private val session = postern.session

    @AfterEach
    fun close(): Unit = postern.close()

    private class Reply(val status: Int, val headers: Map<String, String> = emptyMap())

    /** An HTTP client that answers from a list. */
    private class Api(private vararg val replies: Reply) : HttpCall<Reply> {
        val sent = mutableListOf<Map<String, String>>()
        val discarded = mutableListOf<Reply>()

        override suspend fun send(headers: Map<String, String>): Reply = replies[sent.size].also { sent += headers }

        override fun status(reply: Reply): Int = reply.status

        override fun header(reply: Reply, name: String): String? =
            reply.headers.entries.firstOrNull { it.key.equals(name, ignoreCase = true) }?.value

        override fun discard(reply: Reply) {
            discarded += reply
        }
    }

    private val api = "https://api.bank.example/orders?page=1"

    private fun logIn(): Unit = postern.login().finish()

    @Test
    fun `a request gets two headers for its method and URL alone`() {
        logIn()
        val one = waiting { session.authorize("GET", api) }.headers
        val two = waiting { session.authorize("GET", api) }.headers
        assertEquals(setOf("Authorization", "DPoP"), one.keys)
        assertEquals("DPoP SECRET-ACCESS-1", one["Authorization"])
        assertNotEquals(one["DPoP"], two["DPoP"], "a proof serves once")
    }

    @Test
    fun `a foreign origin gets nothing`() {
        logIn()
        for (url in listOf("https://evil.example/", "https://api.bank.example.evil.example/", "http://api.bank.example/")) {
            assertThrows<SessionException.OriginNotAllowed> { waiting { session.authorize("GET", url) } }
        }
        assertThrows<SessionException.RequestInvalid> { waiting { session.authorize("GET", "/orders") } }
        assertThrows<SessionException.RequestInvalid> { waiting { session.authorize("GET\r\nX: y", api) } }
        val call = Api(Reply(200))
        waiting { session.send("GET", "https://evil.example/", call) }
        assertEquals(listOf(emptyMap<String, String>()), call.sent)
    }

    @Test
    fun `a guest's request goes out as it is`() {
        val call = Api(Reply(401))
        assertEquals(401, waiting { session.send("GET", api, call) }.status)
        assertEquals(listOf(emptyMap<String, String>()), call.sent)
        assertThrows<SessionException.SignedOut> { waiting { session.authorize("GET", api) } }
    }

    @Test
    fun `a 401 renews once and repeats once`() {
        logIn()
        val call = Api(Reply(401), Reply(200))
        assertEquals(200, waiting { session.send("GET", api, call) }.status)
        assertEquals(listOf("DPoP SECRET-ACCESS-1", "DPoP SECRET-ACCESS-2"), call.sent.map { it["Authorization"] })
        assertEquals(1, call.discarded.size)
        val stubborn = Api(Reply(401), Reply(401), Reply(200))
        assertEquals(401, waiting { session.send("GET", api, stubborn) }.status)
        assertEquals(2, stubborn.sent.size)
    }

    @Test
    fun `an API that wants a nonce gets it without a renewal`() {
        logIn()
        val wants = Reply(401, mapOf("www-authenticate" to "DPoP error=\"use_dpop_nonce\"", "dpop-nonce" to "n-7"))
        val call = Api(wants, Reply(200))
        assertEquals(200, waiting { session.send("GET", api, call) }.status)
        assertEquals(0, center.count("/v1/sessions/refresh"))
        val claims = call.sent[1].getValue("DPoP").split(".")[1]
        assertTrue("n-7" in String(java.util.Base64.getUrlDecoder().decode(claims)))
        // Nonce first, then a token that is not accepted: both repetitions, and no third one.
        val both = Api(wants, Reply(401), Reply(200))
        assertEquals(200, waiting { session.send("GET", api, both) }.status)
        assertEquals(1, center.count("/v1/sessions/refresh"))
    }

    @Test
    fun `any number of callers cause one renewal`() {
        logIn()
        center.delayMillis = 100
        val request = waiting { session.authorize("GET", api) }
        waiting { coroutineScope { List(50) { async(Dispatchers.Default) { request.renew() } }.awaitAll() } }
        assertEquals(1, center.count("/v1/sessions/refresh"))
    }

    @Test
    fun `a session that the server ended needs a login, and trouble does not`() {
        logIn()
        center.special = { if (it.path == "/v1/sessions/refresh") 503 to "busy" else null }
        assertThrows<SessionException.Unavailable> { waiting { session.renew() } }
        assertTrue(waiting { session.status() } is SessionStatus.SignedIn)
        center.special = {
            if (it.path == "/v1/sessions/refresh") 401 to """{"code":"session_ended","status":401,"type":"urn:postern:problem:session_ended","title":"x"}""" else null
        }
        assertThrows<SessionException.NeedsLogin> { waiting { session.renew() } }
        assertTrue(waiting { session.status() } is SessionStatus.NeedsLogin)
    }

    @Test
    fun `signing out says whether the server was told`() {
        logIn()
        assertTrue(waiting { session.signOut() })
        assertEquals(SessionStatus.SignedOut, waiting { session.status() })
        logIn()
        center.special = { if (it.path == "/v1/sessions/current") 503 to "busy" else null }
        assertFalse(waiting { session.signOut() })
        assertEquals(SessionStatus.SignedOut, waiting { session.status() })
    }

    @Test
    fun `identity is asked for only where nobody is logged in (W8)`() {
        assertEquals(IdentityAdvice.ASK_NOW, waiting { postern.requireIdentity("order.list") })
        logIn()
        assertEquals(IdentityAdvice.GO_ON, waiting { postern.requireIdentity("order.list") })
    }
}
