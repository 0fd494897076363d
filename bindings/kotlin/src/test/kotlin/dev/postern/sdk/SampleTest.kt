package dev.postern.sdk

import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.future.await
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** What the guides show, compiled and run. */
internal class SampleTest {
    /** An API call with the JDK's client. OkHttp: the same five lines, with `followRedirects(false)`. */
    private class Get(private val client: HttpClient, private val url: String) : HttpCall<HttpResponse<String>> {
        override suspend fun send(headers: Map<String, String>): HttpResponse<String> {
            val request = HttpRequest.newBuilder(URI(url))
            headers.forEach { (name, value) -> request.header(name, value) }
            return client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofString()).await()
        }

        override fun status(reply: HttpResponse<String>): Int = reply.statusCode()

        override fun header(reply: HttpResponse<String>, name: String): String? = reply.headers().firstValue(name).orElse(null)
    }

    private suspend fun lead(login: Login): AccountSummary {
        while (true) {
            when (val state = login.states.first { it !is LoginState.Resolving }) {
                is LoginState.Ready -> state.step.choose(Provider.WECHAT)
                is LoginState.Authorizing -> state.step.answer(ProviderReply(state.request.state, FakeCenter.CODE, 0))
                is LoginState.PhoneNeeded -> state.step.submit(FakeCenter.PHONE)
                is LoginState.SmsCodeNeeded -> state.step.submit("123456")
                is LoginState.LoggedIn -> return state.account
                else -> throw IllegalStateException("$state")
            }
        }
    }

    @Test
    fun `a login is a loop over its states`() {
        Postern.create(FakeCenter.config(), MapVault(), transport = FakeCenter()).use { postern ->
            assertEquals(Identification.UNSIGNED, waiting { lead(postern.login()) }.identification)
        }
    }

    @Test
    fun `a call of the app's API over a real client carries the session, and a guest's does not`() {
        val server = com.sun.net.httpserver.HttpServer.create(java.net.InetSocketAddress("127.0.0.1", 0), 0)
        val seen = java.util.concurrent.CopyOnWriteArrayList<String?>()
        server.createContext("/orders") { exchange ->
            seen += exchange.requestHeaders.getFirst("Authorization")
            exchange.responseHeaders["Location"] = "http://127.0.0.1:1/elsewhere"
            exchange.sendResponseHeaders(if (seen.size == 2) 401 else 302, -1)
            exchange.close()
        }
        server.start()
        try {
            val origin = "http://127.0.0.1:${server.address.port}"
            val good = FakeCenter.config()
            val config = PosternConfig(good.accountCenter, good.appId, good.rootKey, apiOrigins = listOf(origin))
            val client = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).build()
            Postern.create(config, MapVault(), transport = FakeCenter()).use { postern ->
                val call = Get(client, "$origin/orders")
                assertEquals(302, waiting { postern.session.send("GET", "$origin/orders", call) }.statusCode())
                waiting { lead(postern.login()) }
                assertEquals(302, waiting { postern.session.send("GET", "$origin/orders", call) }.statusCode())
            }
            assertEquals(listOf(null, "DPoP SECRET-ACCESS-1", "DPoP SECRET-ACCESS-2"), seen)
        } finally {
            server.stop(0)
        }
    }
}
