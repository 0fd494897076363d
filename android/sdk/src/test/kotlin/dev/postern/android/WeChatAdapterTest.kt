package dev.postern.android

import android.app.Activity
import android.app.Application
import android.content.Intent
import android.os.Looper
import com.tencent.mm.opensdk.modelbase.BaseResp
import com.tencent.mm.opensdk.modelmsg.SendAuth
import com.tencent.mm.opensdk.openapi.IWXAPI
import dev.postern.sdk.AuthorizationRequest
import dev.postern.sdk.Provider
import dev.postern.sdk.ProviderReplies
import dev.postern.sdk.ProviderReply
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.lang.reflect.Proxy
import java.time.Duration

/** Over WeChat's own classes; only its app, which is not on this machine, is played. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [28, 35])
class WeChatAdapterTest {
    private val application: Application get() = RuntimeEnvironment.getApplication()
    private val heard = mutableListOf<String>()
    private val sent = mutableListOf<SendAuth.Req>()
    private val registered = mutableListOf<String?>()
    private var sends = true

    private val replies = object : ProviderReplies {
        override fun answered(reply: ProviderReply) {
            heard += "answered ${reply.state} ${reply.code} ${reply.errorCode}"
        }

        override fun appMissing() {
            heard += "missing"
        }

        override fun returnedWithoutAnswer() {
            heard += "returned"
        }

        override fun cancelled() {
            heard += "cancelled"
        }
    }

    private fun wechat(appId: String?): IWXAPI = Proxy.newProxyInstance(IWXAPI::class.java.classLoader, arrayOf(IWXAPI::class.java)) { _, method, arguments ->
        when (method.name) {
            "registerApp" -> true.also {
                assertEquals(appId, arguments[0])
                registered += appId
            }
            "sendReq" -> sends.also { sent += arguments[0] as SendAuth.Req }
            "isWXAppInstalled" -> true
            else -> throw UnsupportedOperationException(method.name)
        }
    } as IWXAPI

    private fun adapter() = WeChatAdapter(WeChatAnswers, Returns(application, 1_000), ::wechat)

    private fun request(state: String) = AuthorizationRequest(Provider.WECHAT, "wx5b1e0c6a7d000001", "snsapi_userinfo", state)

    private fun response(state: String?, code: String?, number: Int): SendAuth.Resp = SendAuth.Resp().apply {
        this.state = state
        this.code = code
        errCode = number
    }

    @After
    fun forget() {
        WeChatAnswers.await("the next test's") { }
        WeChatAnswers.arrived(WeChatAnswer("the next test's", null, 0))
        WeChatAnswers.forget()
    }

    @Test
    fun without_wechats_app_its_own_sdk_says_so() {
        assertFalse(WeChatAdapter(application).isInstalled())
    }

    @Test
    fun l3_a_tap_sends_scope_and_state_for_the_app_id_that_the_account_center_named() {
        adapter().authorize(request("s1"), replies)
        assertEquals(listOf("wx5b1e0c6a7d000001"), registered.toList())
        assertEquals(listOf("snsapi_userinfo" to "s1"), sent.map { it.scope to it.state })
        assertTrue(heard.isEmpty())
    }

    @Test
    fun consent_and_every_refusal_arrive_as_wechat_gave_them() {
        for ((number, code) in listOf(BaseResp.ErrCode.ERR_OK to "0815", BaseResp.ErrCode.ERR_AUTH_DENIED to null, BaseResp.ErrCode.ERR_USER_CANCEL to null)) {
            adapter().authorize(request("s1"), replies)
            WeChatAnswers.onResp(response("s1", code ?: "", number))
            assertEquals("answered s1 $code $number", heard.removeLast())
        }
        assertTrue(heard.isEmpty())
    }

    @Test
    fun a_request_that_wechat_does_not_take_is_its_own_number() {
        sends = false
        adapter().authorize(request("s1"), replies)
        assertEquals(listOf("answered s1 null ${BaseResp.ErrCode.ERR_SENT_FAILED}"), heard)
    }

    @Test
    fun an_answer_for_another_attempt_changes_nothing_and_the_right_one_still_counts_once() {
        adapter().authorize(request("s1"), replies)
        WeChatAnswers.onResp(response("another", "evil", BaseResp.ErrCode.ERR_OK))
        WeChatAnswers.onResp(response(null, "evil", BaseResp.ErrCode.ERR_OK))
        assertTrue(heard.isEmpty())
        WeChatAnswers.onResp(response("s1", "good", BaseResp.ErrCode.ERR_OK))
        WeChatAnswers.onResp(response("s1", "again", BaseResp.ErrCode.ERR_OK))
        assertEquals(listOf("answered s1 good 0"), heard)
    }

    @Test
    fun an_answer_that_arrived_before_the_sdk_is_handed_over_to_the_resumed_attempt() {
        WeChatAnswers.onResp(response("s1", "early", BaseResp.ErrCode.ERR_OK))
        adapter().resume(request("s1"), replies)
        assertEquals(listOf("answered s1 early 0"), heard)
        assertTrue("WeChat is not opened again", sent.isEmpty())
    }

    @Test
    fun a_new_attempt_does_not_get_an_old_answer() {
        WeChatAnswers.onResp(response("s1", "old", BaseResp.ErrCode.ERR_OK))
        adapter().authorize(request("s1"), replies)
        assertTrue(heard.isEmpty())
    }

    @Test
    fun coming_back_without_an_answer_is_noticed_once_and_after_a_moment() {
        val screen = Robolectric.buildActivity(Activity::class.java).setup()
        adapter().authorize(request("s1"), replies)
        screen.pause().stop()
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofMinutes(5))
        assertTrue("at WeChat", heard.isEmpty())
        screen.restart().start().resume()
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofMillis(900))
        assertTrue("the answer may still come", heard.isEmpty())
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(5))
        screen.pause().resume()
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(5))
        assertEquals(listOf("returned"), heard)
    }

    @Test
    fun an_answer_at_the_return_is_an_answer_and_no_return() {
        val screen = Robolectric.buildActivity(Activity::class.java).setup()
        adapter().authorize(request("s1"), replies)
        screen.pause().stop().restart().start().resume()
        WeChatAnswers.onResp(response("s1", "c", BaseResp.ErrCode.ERR_OK))
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(5))
        assertEquals(listOf("answered s1 c 0"), heard)
    }

    @Test
    fun an_intent_that_wechat_did_not_make_only_ends_the_entry_activity() {
        adapter().authorize(request("s1"), replies)
        val forged = Intent().putExtra("_wxapi_baseresp_errcode", 0).putExtra("_wxapi_sendauth_resp_token", "evil").putExtra("_wxapi_sendauth_resp_state", "s1")
        val entry = Robolectric.buildActivity(WeChatEntryActivity::class.java, forged).create()
        assertTrue(entry.get().isFinishing)
        assertTrue(heard.isEmpty())
    }
}
