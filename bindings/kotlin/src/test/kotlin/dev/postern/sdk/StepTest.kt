package dev.postern.sdk

import java.util.concurrent.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotSame
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

internal class StepTest {
    private val center = FakeCenter()
    private val postern = Postern.create(FakeCenter.config(), BuiltInVault.Memory, transport = center)
    private val login = postern.login()

    @AfterEach
    fun close(): Unit = postern.close()

    private fun authorizing(): LoginState.Authorizing {
        waiting { login.await<LoginState.Ready>().step.choose(Provider.WECHAT) }
        return login.await()
    }

    @Test
    fun `a step that was overtaken answers Superseded and changes nothing`() {
        val ready = login.await<LoginState.Ready>()
        waiting { ready.step.choose(Provider.WECHAT) }
        val authorizing = login.await<LoginState.Authorizing>()
        assertThrows<StepException.Superseded> { waiting { ready.step.choose(Provider.WECHAT) } }
        assertSame(authorizing, login.state)
        assertEquals(1, center.count("/v1/apps/bank-android/login-options"))
    }

    @Test
    fun `of many answers to one step exactly one wins`() {
        val ready = login.await<LoginState.Ready>()
        center.delayMillis = 50
        val outcomes = waiting {
            coroutineScope {
                List(20) {
                    async(Dispatchers.Default) { runCatching { ready.step.choose(Provider.WECHAT) } }
                }.awaitAll()
            }
        }
        assertEquals(1, outcomes.count { it.isSuccess })
        assertTrue(outcomes.mapNotNull { it.exceptionOrNull() }.all { it is StepException.Superseded }, outcomes.toString())
    }

    @Test
    fun `a mistake in the form uses the step up neither here nor at the server`() {
        val authorizing = authorizing()
        waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
        val phone = login.await<LoginState.PhoneNeeded>()
        assertThrows<StepException.PhoneNumberInvalid> { waiting { phone.step.submit("12") } }
        assertSame(phone, login.state)
        waiting { phone.step.submit(FakeCenter.PHONE) }
        val code = login.await<LoginState.SmsCodeNeeded>()
        assertThrows<StepException.SmsCodeInvalid> { waiting { code.step.submit("12345") } }
        waiting { code.step.submit("123456") }
        assertEquals(3, center.count("/v1/login"))
    }

    @Test
    fun `an answer with another attempt's state is stray and uses nothing up`() {
        val authorizing = authorizing()
        assertThrows<StepException.StrayAnswer> { waiting { authorizing.step.answer(ProviderReply("other", FakeCenter.CODE, 0)) } }
        assertThrows<StepException.StrayAnswer> { waiting { authorizing.step.answer(ProviderReply(null, FakeCenter.CODE, 0)) } }
        waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
        login.await<LoginState.PhoneNeeded>()
    }

    @Test
    fun `a provider that this version has no connector for is not offered`() {
        val ready = login.await<LoginState.Ready>()
        assertThrows<StepException.NotOffered> { waiting { ready.step.choose(Provider.OIDC) } }
        assertSame(ready, login.state)
    }

    @Test
    fun `a cancelled coroutine is cancelled, and what it began goes on`() {
        val ready = login.await<LoginState.Ready>()
        center.delayMillis = 200
        var thrown: Throwable? = null
        waiting {
            coroutineScope {
                val job = launch(start = CoroutineStart.UNDISPATCHED) {
                    thrown = runCatching { ready.step.choose(Provider.WECHAT) }.exceptionOrNull()
                }
                job.cancel()
            }
        }
        assertTrue(thrown is CancellationException, "$thrown")
        login.await<LoginState.Authorizing>()
    }

    @Test
    fun `a time limit of the caller is no fault of the step`() {
        val ready = login.await<LoginState.Ready>()
        center.delayMillis = 200
        assertEquals(null, waiting { withTimeoutOrNull(20) { ready.step.choose(Provider.WECHAT) } })
        login.await<LoginState.Authorizing>()
    }

    @Test
    fun `a step of a closed SDK answers Closed, and so does the SDK`() {
        val ready = login.await<LoginState.Ready>()
        postern.close()
        assertThrows<StepException.Closed> { waiting { ready.step.choose(Provider.WECHAT) } }
        assertThrows<StepException.Closed> { postern.login() }
        assertThrows<StepException.Closed> { waiting { postern.requireIdentity("order.list") } }
        assertThrows<SessionException.Closed> { waiting { postern.session.status() } }
        assertThrows<OptionsException.Closed> { waiting { postern.loginOptions() } }
        assertThrows<StepException.Closed> { waiting { login.deliver(ProviderReply("x")) } }
    }

    @Test
    fun `what is under way when the SDK is closed throws Closed and does not hang`() {
        val ready = login.await<LoginState.Ready>()
        center.delayMillis = 60_000
        val outcome = waiting {
            coroutineScope {
                val begun = async(Dispatchers.Default) { runCatching { ready.step.choose(Provider.WECHAT) } }
                while (center.seen.isEmpty()) kotlinx.coroutines.delay(5)
                postern.close()
                begun.await()
            }
        }
        assertTrue(outcome.exceptionOrNull() is StepException.Closed, outcome.toString())
    }

    @Test
    fun `a rotated screen gets the same login, and a new one after success`() {
        assertSame(login, postern.login())
        login.finish()
        val next = postern.login()
        assertNotSame(login, next)
        next.await<LoginState.Ready>()
    }

    @Test
    fun `a login that was closed is taken up by the next one where it stood`() {
        val authorizing = authorizing()
        waiting { authorizing.step.answer(ProviderReply(authorizing.request.state, FakeCenter.CODE, 0)) }
        login.await<LoginState.PhoneNeeded>()
        login.close()
        val next = postern.login()
        assertNotSame(login, next)
        waiting { next.await<LoginState.PhoneNeeded>().step.submit(FakeCenter.PHONE) }
        next.await<LoginState.SmsCodeNeeded>()
    }

    @Test
    fun `an answer that started the app is delivered without knowing the state`() {
        val state = authorizing().request.state
        assertThrows<StepException.StrayAnswer> { waiting { login.deliver(ProviderReply("another")) } }
        waiting { login.deliver(ProviderReply(state, FakeCenter.CODE, 0)) }
        login.await<LoginState.PhoneNeeded>()
        assertThrows<StepException.StrayAnswer> { waiting { login.deliver(ProviderReply(state, FakeCenter.CODE, 0)) } }
    }

    @Test
    fun `a panic inside the library is an error of the call and ends nothing`() {
        assertThrows<dev.postern.sdk.ffi.StepException.Internal> { Hooks.panic() }
        login.await<LoginState.Ready>()
    }
}
