package dev.postern.sdk

import java.util.concurrent.CopyOnWriteArrayList
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class AdapterTest {
    private val center = FakeCenter()
    private val log = KeptLog()

    private class WeChat(
        private val installed: () -> Boolean = { true },
        private val act: (AuthorizationRequest, ProviderReplies) -> Unit,
    ) : ProviderAdapter {
        val threads = CopyOnWriteArrayList<Thread>()
        override val provider = Provider.WECHAT

        override fun isInstalled(): Boolean = installed()

        override fun authorize(request: AuthorizationRequest, reply: ProviderReplies) {
            threads += Thread.currentThread()
            act(request, reply)
        }
    }

    private fun chosen(adapter: ProviderAdapter, look: (Login) -> Unit) {
        Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = center, adapters = listOf(adapter), log = log).use {
            val login = it.login()
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            look(login)
        }
    }

    @Test
    fun `an adapter leads the person to the provider and its answer goes on`() {
        val adapter = WeChat { request, reply -> reply.answered(ProviderReply(request.state, FakeCenter.CODE, 0)) }
        chosen(adapter) { it.await<LoginState.PhoneNeeded>() }
        assertTrue(adapter.threads.single().let { it.isDaemon && it.name == "postern-callbacks" })
    }

    @Test
    fun `each way back has its own refusal`() {
        fun refusal(act: (AuthorizationRequest, ProviderReplies) -> Unit, installed: Boolean = true): RefusalKind {
            var kind: RefusalKind? = null
            chosen(WeChat({ installed }, act)) { kind = it.await<LoginState.Refused>().refusal.kind }
            return kind!!
        }
        assertEquals(RefusalKind.APP_MISSING, refusal({ _, _ -> }, installed = false))
        assertEquals(RefusalKind.APP_MISSING, refusal({ _, reply -> reply.appMissing() }))
        assertEquals(RefusalKind.RETURNED_WITHOUT_ANSWER, refusal({ _, reply -> reply.returnedWithoutAnswer() }))
        assertEquals(RefusalKind.CANCELLED, refusal({ request, reply -> reply.answered(ProviderReply(request.state, errorCode = -2)) }))
    }

    @Test
    fun `an adapter that throws, an Error too, is the provider's failure`() {
        for (thrown in listOf<() -> Throwable>({ RuntimeException("SECRET-DETAIL") }, { NotImplementedError("SECRET-DETAIL") })) {
            chosen(WeChat { _, _ -> throw thrown() }) {
                assertEquals(RefusalKind.PROVIDER_FAILED, it.await<LoginState.Refused>().refusal.kind)
            }
            chosen(WeChat({ throw thrown() }) { _, _ -> }) {
                assertEquals(RefusalKind.PROVIDER_FAILED, it.await<LoginState.Refused>().refusal.kind)
            }
        }
        assertTrue(log.lines.none { "SECRET-DETAIL" in it }, log.lines.toString())
    }

    @Test
    fun `the first word of an adapter counts and a late one changes nothing`() {
        var late: ProviderReplies? = null
        chosen(WeChat { request, reply ->
            late = reply
            reply.answered(ProviderReply(request.state, FakeCenter.CODE, 0))
            reply.appMissing()
        }) { login ->
            val phone = login.await<LoginState.PhoneNeeded>()
            late!!.cancelled()
            Thread.sleep(50)
            assertEquals(phone, login.state)
        }
    }

    @Test
    fun `a new process resumes the attempt and opens the provider no second time`() {
        val vault = MapVault()
        fun process(adapter: ProviderAdapter, look: (Login) -> Unit) {
            Postern.create(FakeCenter.config(), vault, transport = center, adapters = listOf(adapter)).use { look(it.login()) }
        }
        var asked: AuthorizationRequest? = null
        process(WeChat { request, _ -> asked = request }) { login ->
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            eventually("the person is at WeChat") { asked != null }
        }
        val later = object : ProviderAdapter {
            override val provider = Provider.WECHAT

            override fun isInstalled(): Boolean = true

            override fun authorize(request: AuthorizationRequest, reply: ProviderReplies): Unit = throw AssertionError("opened again")

            override fun resume(request: AuthorizationRequest, reply: ProviderReplies) {
                assertTrue(request.resumed)
                reply.answered(ProviderReply(asked!!.state, FakeCenter.CODE, 0))
            }
        }
        process(later) { it.await<LoginState.PhoneNeeded>() }
    }

    @Test
    fun `an adapter that knows no resuming leaves the attempt waiting for the person`() {
        val vault = MapVault()
        repeat(2) { round ->
            val adapter = WeChat { _, _ -> assertEquals(0, round) }
            Postern.create(FakeCenter.config(), vault, transport = center, adapters = listOf(adapter)).use {
                val login = it.login()
                if (round == 0) waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
                assertEquals(round == 1, login.await<LoginState.Authorizing>().request.resumed)
                if (round == 0) eventually("asked") { adapter.threads.size == 1 } else waiting { login.await<LoginState.Authorizing>().step.cancel() }
            }
        }
    }

    @Test
    fun `a dispatcher of the app's own is used`() {
        val adapter = WeChat { _, reply -> reply.returnedWithoutAnswer() }
        Postern.create(
            FakeCenter.config(),
            BuiltInVault.Memory,
            transport = center,
            adapters = listOf(adapter),
            callbackDispatcher = kotlinx.coroutines.Dispatchers.Default,
        ).use {
            val login = it.login()
            waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
            login.await<LoginState.Refused>()
        }
        assertTrue(adapter.threads.single().name.startsWith("DefaultDispatcher"), adapter.threads.toString())
    }
}
