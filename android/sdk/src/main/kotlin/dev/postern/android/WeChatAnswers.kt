package dev.postern.android

import com.tencent.mm.opensdk.modelbase.BaseReq
import com.tencent.mm.opensdk.modelbase.BaseResp
import com.tencent.mm.opensdk.modelmsg.SendAuth
import com.tencent.mm.opensdk.openapi.IWXAPIEventHandler

/** What WeChat answered. */
internal class WeChatAnswer(val state: String?, val code: String?, val errorCode: Int) {
    override fun toString(): String = "WeChatAnswer(errorCode=$errorCode, [redacted])"
}

/**
 * Where WeChat's answer and the one who waits for it meet, in either order: after process death WeChat starts the entry activity before the SDK is there.
 *
 * Any app can start the entry activity. WeChat's SDK drops intents that were not made by WeChat's code, and an answer whose `state` is not the one that is waited for is dropped
 * here, before it could use the wait up.
 */
internal object WeChatAnswers : IWXAPIEventHandler {
    private class Wait(val state: String, val take: (WeChatAnswer) -> Unit)

    private val lock = Any()
    private var early: WeChatAnswer? = null
    private var wait: Wait? = null

    /** [take] hears the answer for the attempt [state], once. A new wait ends the old one. */
    fun await(state: String, take: (WeChatAnswer) -> Unit) {
        val there = synchronized(lock) {
            wait = Wait(state, take)
            early.also { early = null }
        }
        there?.let { arrived(it) }
    }

    /** An answer that nobody waited for is dropped. */
    fun forget() {
        synchronized(lock) { early = null }
    }

    fun arrived(answer: WeChatAnswer) {
        val waiting = synchronized(lock) {
            val present = wait
            when {
                present == null -> {
                    early = answer
                    null
                }
                // WeChat leaves `state` out of some answers that are no consent.
                answer.state == present.state || (answer.state == null && answer.code == null) -> {
                    wait = null
                    present
                }
                else -> null
            }
        }
        waiting?.take?.invoke(answer)
    }

    override fun onReq(request: BaseReq) {
        // WeChat asks nothing of us.
    }

    override fun onResp(response: BaseResp) {
        if (response is SendAuth.Resp) arrived(WeChatAnswer(response.state, response.code?.takeIf { it.isNotEmpty() }, response.errCode))
    }
}
