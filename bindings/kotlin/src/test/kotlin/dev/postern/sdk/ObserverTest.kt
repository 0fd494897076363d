package dev.postern.sdk

import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class ObserverTest {
    private val center = FakeCenter()
    private val log = KeptLog()
    private val postern =
        Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = center, log = log, logLevel = LogLevel.DEBUG)
    private val login = postern.login()

    @AfterEach
    fun close(): Unit = postern.close()

    @Test
    fun `an observer that throws an Exception or an Error stops neither the login nor the others`() {
        val heard = CopyOnWriteArrayList<LoginState>()
        login.observe { throw IllegalStateException("SECRET-IN-A-MESSAGE") }
        // The generated code would let this one through as a success.
        login.observe { throw NotImplementedError("SECRET-IN-A-MESSAGE") }
        login.observe { heard += it }
        login.finish()
        eventually("the last observer hears the end") { heard.lastOrNull() is LoginState.LoggedIn }
        assertTrue(log.lines.any { "IllegalStateException" in it }, log.lines.toString())
        assertTrue(log.lines.any { "NotImplementedError" in it }, log.lines.toString())
        assertTrue(log.lines.none { "SECRET-IN-A-MESSAGE" in it }, log.lines.toString())
    }

    @Test
    fun `an observer hears the present state first and then each one in order`() {
        waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
        val heard = CopyOnWriteArrayList<String>()
        login.observe { heard += it.javaClass.simpleName }
        val authorizing = login.await<LoginState.Authorizing>()
        waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
        waiting { login.await<LoginState.PhoneNeeded>().step.submit(FakeCenter.PHONE) }
        login.await<LoginState.SmsCodeNeeded>()
        eventually("all heard") { heard.lastOrNull() == "SmsCodeNeeded" }
        assertEquals(listOf("Authorizing", "Resolving", "PhoneNeeded", "Resolving", "SmsCodeNeeded"), heard)
    }

    @Test
    fun `a closed observation hears nothing more`() {
        val heard = AtomicInteger()
        login.await<LoginState.Ready>()
        login.observe { heard.incrementAndGet() }.close()
        val before = heard.get()
        login.finish()
        assertEquals(before, heard.get())
    }

    @Test
    fun `an observer may answer the step it was just given`() {
        val done = CountDownLatch(1)
        login.observe { state ->
            // Not waited for: it returns before the next state is announced.
            Thread {
                waiting {
                    when (state) {
                        is LoginState.Ready -> state.step.choose(Provider.WECHAT)
                        is LoginState.Authorizing -> state.step.answer(ProviderReply(state.request.state, FakeCenter.CODE, 0))
                        is LoginState.PhoneNeeded -> state.step.submit(FakeCenter.PHONE)
                        is LoginState.SmsCodeNeeded -> state.step.submit("123456")
                        is LoginState.LoggedIn -> done.countDown()
                        else -> Unit
                    }
                }
            }.start()
        }
        assertTrue(done.await(10, TimeUnit.SECONDS))
    }

    @Test
    fun `the SDK may be closed from an observer, on its own thread`() {
        val closed = CountDownLatch(1)
        login.await<LoginState.Ready>()
        val threads = CopyOnWriteArrayList<String>()
        login.observe { state ->
            if (state is LoginState.Authorizing) {
                threads += Thread.currentThread().name
                postern.close()
                closed.countDown()
            }
        }
        runCatching { waiting { (login.state as LoginState.Ready).step.choose(Provider.WECHAT) } }
        assertTrue(closed.await(10, TimeUnit.SECONDS), "close() came back")
        assertEquals(listOf("postern"), threads)
        eventually("the SDK is gone") { Hooks.livingSteps() == 0L }
    }

    @Test
    fun `closing twice and from two threads is closing once`() {
        val threads = List(4) { Thread { repeat(3) { postern.close() } } }
        threads.forEach { it.start() }
        threads.forEach { it.join(10_000) }
        assertTrue(threads.none { it.isAlive })
    }

    @Test
    fun `callbacks come on few daemon threads of the SDK`() {
        val threads = CopyOnWriteArrayList<Thread>()
        login.await<LoginState.Ready>()
        login.observe { if (it !is LoginState.Ready) threads += Thread.currentThread() }
        repeat(10) {
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            waiting { login.await<LoginState.Authorizing>().step.cancel() }
        }
        assertTrue(threads.all { it.isDaemon && it.name == "postern" }, threads.toString())
        val different = threads.distinctBy { System.identityHashCode(it) }.size
        assertTrue(different <= 4, "$different thread objects for ${threads.size} callbacks")
    }
}
