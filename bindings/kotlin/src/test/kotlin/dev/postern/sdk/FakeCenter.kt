package dev.postern.sdk

import dev.postern.sdk.ffi.testingLivingLogins
import dev.postern.sdk.ffi.testingLivingPosterns
import dev.postern.sdk.ffi.testingLivingSteps
import dev.postern.sdk.ffi.testingPanic
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException
import kotlin.concurrent.thread
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** An account center in a few canned replies, behind the app's own [Transport]: enough to lead a login and keep a session without a server. */
internal class FakeCenter : Transport {
    class Seen(val method: String, val path: String, val headers: Map<String, String>, val body: String)

    val seen = CopyOnWriteArrayList<Seen>()

    /** Tokens that were given out; none of them may ever be printed. */
    val secrets = CopyOnWriteArrayList(listOf(CODE))

    /** Replies by path, instead of the usual ones. */
    var special: (Seen) -> Pair<Int, String>? = { null }

    /** How long each reply takes. */
    @Volatile
    var delayMillis = 0L
    private var tokens = 0

    override fun send(exchange: HttpExchange) {
        val path = exchange.url.removePrefix(URL).substringBefore('?')
        val request = Seen(exchange.method, path, exchange.headers, String(exchange.body))
        seen += request
        val (status, body) = special(request) ?: usual(request)
        val headers = mapOf("Content-Type" to "application/json", "DPoP-Nonce" to "nonce-${seen.size}")
        if (delayMillis == 0L) {
            exchange.reply(status, headers, body.toByteArray())
        } else {
            thread(isDaemon = true) {
                Thread.sleep(delayMillis)
                exchange.reply(status, headers, body.toByteArray())
            }
        }
    }

    fun count(path: String): Int = seen.count { it.path == path }

    private fun usual(request: Seen): Pair<Int, String> = when {
        request.path.endsWith("/login-options") -> 200 to OPTIONS
        request.path == "/v1/login" && "\"start\"" in request.body -> 200 to step("s1", """{"step":"phone"}""")
        request.path == "/v1/login" && "\"phone\"" in request.body -> 200 to step("s2", SMS)
        request.path == "/v1/login" && "\"cancel\"" in request.body -> 200 to step("s9", """{"step":"cancelled"}""")
        request.path == "/v1/login" -> 200 to """{"next":{"step":"done"},"account":$ACCOUNT,"session":${session()}}"""
        request.path == "/v1/sessions/refresh" -> 200 to """{"session":${session()}}"""
        request.path == "/v1/account" -> 200 to """{"account":$ACCOUNT}"""
        request.path == "/v1/sessions/current" -> 204 to ""
        else -> 404 to """{"code":"not_found","status":404}"""
    }

    @Synchronized
    private fun session(): String {
        tokens += 1
        val access = "SECRET-ACCESS-$tokens"
        val refresh = "rt_SECRET-REFRESH-$tokens"
        secrets += access
        secrets += refresh
        return """{"session_id":"sid-1","access_token":"$access","token_type":"DPoP","expires_in":300,""" +
            """"refresh_token":"$refresh","refresh_expires_in":2592000}"""
    }

    companion object {
        const val URL = "https://login.bank.example"
        const val CODE = "SECRET-CODE-0815"
        const val PHONE = "13800000000"
        const val PERSONAL = "PERSONAL-NICKNAME"

        // Any point: no key list is checked in these tests.
        const val ROOT_KEY = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
        private const val OPTIONS = """{"app_id":"bank-android","issuer":"$URL","providers":[{"provider":"wechat",""" +
            """"provider_app_id":"wx1","scope":"snsapi_userinfo","label":{"zh":"微信登录","en":"Continue with WeChat"}},""" +
            """{"provider":"myspace","label":{"en":"MySpace"}}],"key_list":"none"}"""
        private const val SMS = """{"step":"sms_code","sent_to":"138****0000","digits":6,"expires_in":600,"resend_after":60,"attempts_left":5}"""
        private const val ACCOUNT = """{"user_id":"u-1","identification":"unsigned","phone_masked":"138****0000",""" +
            """"nickname":"$PERSONAL","bindings":[{"provider":"wechat","bound_at":1}]}"""

        private fun step(id: String, next: String): String = """{"login":"lg_1","step_id":"$id","expires_in":600,"next":$next}"""

        fun config(): PosternConfig = PosternConfig(
            accountCenter = URL,
            appId = "bank-android",
            rootKey = ROOT_KEY,
            apiOrigins = listOf("https://api.bank.example"),
        )
    }
}

/** Waits for the state of this kind. */
internal inline fun <reified S : LoginState> Login.await(): S = await("${S::class.simpleName}") { it is S } as S

internal fun Login.await(what: String, wanted: (LoginState) -> Boolean): LoginState {
    val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10)
    while (true) {
        state.let { if (wanted(it)) return it }
        if (System.nanoTime() > end) throw TimeoutException("never $what; $state")
        Thread.sleep(2)
    }
}

/** Something that comes true within ten seconds; [nudge] is done before each look. */
internal fun eventually(what: String, nudge: () -> Unit = {}, holds: () -> Boolean) {
    repeat(500) {
        nudge()
        if (holds()) return
        Thread.sleep(20)
    }
    throw AssertionError("never: $what")
}

/** What only a collected object frees. */
internal fun eventuallyCollected(what: String, holds: () -> Boolean): Unit = eventually(what, { System.gc() }, holds)

internal fun <T> waiting(block: suspend () -> T): T = runBlocking { withTimeout(10_000) { block() } }

/** Leads the login to its end: somebody known, who has to prove nothing. */
internal fun Login.finish() {
    waiting { await<LoginState.Ready>().step.choose(Provider.WECHAT) }
    val authorizing = await<LoginState.Authorizing>()
    waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
    waiting { await<LoginState.PhoneNeeded>().step.submit(FakeCenter.PHONE) }
    waiting { await<LoginState.SmsCodeNeeded>().step.submit("123456") }
    await<LoginState.LoggedIn>()
}

/** A vault of the app in a map. */
internal class MapVault : Vault {
    val blobs = java.util.concurrent.ConcurrentHashMap<String, ByteArray>()

    /** Thrown by every call, where set. */
    @Volatile
    var trouble: (() -> Throwable)? = null

    override fun load(name: String): ByteArray? {
        trouble?.let { throw it() }
        return blobs[name]
    }

    override fun store(name: String, value: ByteArray) {
        trouble?.let { throw it() }
        blobs[name] = value
    }

    override fun delete(name: String) {
        trouble?.let { throw it() }
        blobs.remove(name)
    }

    override val description: String get() = "a map"
}

/** Keeps what the SDK said. */
internal class KeptLog : LogSink {
    val lines = CopyOnWriteArrayList<String>()

    override fun log(level: LogLevel, area: String, message: String) {
        lines += "$level $area: $message"
    }
}

/** The library's hooks for tests. JNA looks at the kind of a callback's thread when the callback is made, so it must be told before any call. */
internal object Hooks {
    init {
        for (kind in CallbackThreads.all) kind.beDaemons()
    }

    fun livingPosterns(): Long = testingLivingPosterns()

    fun livingLogins(): Long = testingLivingLogins()

    fun livingSteps(): Long = testingLivingSteps()

    fun panic(): Unit = testingPanic()
}

/** The compiled classes of a package of the SDK, not initialised: the library must not be loaded before the facade has prepared JNA for it. */
internal fun compiled(packageName: String): List<Class<*>> {
    val root = java.io.File(Postern::class.java.protectionDomain.codeSource.location.toURI())
    return root.resolve(packageName.replace('.', '/')).listFiles { file -> file.name.endsWith(".class") }!!
        .map { Class.forName("$packageName." + it.name.removeSuffix(".class"), false, Postern::class.java.classLoader) }
}
