package dev.postern.android

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import com.tencent.mm.opensdk.openapi.WXAPIFactory

/**
 * What WeChat starts with its answer. The app's own subclass must be called `<application id>.wxapi.WXEntryActivity`, be exported, and have
 * `android:launchMode="singleTask"` and a translucent theme; it has no code of its own.
 */
public open class WeChatEntryActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        hand(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        hand(intent)
    }

    /** An intent that WeChat's code did not make has no effect but this activity's end. */
    private fun hand(intent: Intent?) {
        try {
            if (intent != null) WXAPIFactory.createWXAPI(this, null, true).handleIntent(intent, WeChatAnswers)
        } catch (_: RuntimeException) {
            // Extras that can't be read, from an app that is not WeChat: an answer that never came.
        } finally {
            finish()
        }
    }
}
