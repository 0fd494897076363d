package dev.postern.android

import android.content.Context
import com.tencent.mm.opensdk.modelmsg.SendAuth
import com.tencent.mm.opensdk.openapi.IWXAPI
import com.tencent.mm.opensdk.openapi.WXAPIFactory
import dev.postern.sdk.AuthorizationRequest
import dev.postern.sdk.Provider
import dev.postern.sdk.ProviderAdapter
import dev.postern.sdk.ProviderReplies
import dev.postern.sdk.ProviderReply

/**
 * Leads a person to WeChat's app and back, over WeChat's own SDK.
 *
 * The app declares an activity `<application id>.wxapi.WXEntryActivity` that extends [WeChatEntryActivity] and does nothing else; WeChat starts it with the answer. WeChat's
 * SDK is touched for the first time when the person taps the button, so not before the privacy notice was accepted.
 */
public class WeChatAdapter internal constructor(
    private val answers: WeChatAnswers,
    private val returns: Returns,
    private val wechat: (appId: String?) -> IWXAPI,
) : ProviderAdapter {
    public constructor(context: Context) : this(
        WeChatAnswers,
        Returns.of(context),
        { appId -> WXAPIFactory.createWXAPI(context.applicationContext, appId, true) },
    )

    override val provider: Provider
        get() = Provider.WECHAT

    override fun isInstalled(): Boolean = wechat(null).isWXAppInstalled

    override fun authorize(request: AuthorizationRequest, reply: ProviderReplies) {
        answers.forget()
        val api = wechat(request.providerAppId)
        val sent = api.registerApp(request.providerAppId) &&
            api.sendReq(
                SendAuth.Req().apply {
                    scope = request.scope
                    state = request.state
                },
            )
        if (sent) await(request, reply) else reply.answered(ProviderReply(request.state, errorCode = SEND_FAILED))
    }

    /** A new process found the attempt: WeChat is not opened again. Its answer may be here already, or the person comes back without one. */
    override fun resume(request: AuthorizationRequest, reply: ProviderReplies) {
        await(request, reply)
    }

    private fun await(request: AuthorizationRequest, reply: ProviderReplies) {
        returns.watch { reply.returnedWithoutAnswer() }
        answers.await(request.state) { answer ->
            returns.stop()
            reply.answered(ProviderReply(answer.state, answer.code, answer.errorCode))
        }
    }

    override fun toString(): String = "WeChatAdapter"

    private companion object {
        /** `BaseResp.ErrCode.ERR_SENT_FAILED`. */
        const val SEND_FAILED = -3
    }
}
