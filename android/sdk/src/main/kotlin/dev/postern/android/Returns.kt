package dev.postern.android

import android.app.Activity
import android.app.Application
import android.content.Context
import android.os.Bundle
import android.os.Handler
import android.os.Looper

/**
 * Notices that the person is in our app again. Some ways back from WeChat never call back; so when an activity of ours is in front and no answer came within
 * [graceMillis], there is none.
 *
 * One watch at a time; it holds no activity.
 */
internal class Returns(private val application: Application, private val graceMillis: Long = GRACE_MILLIS) {
    private val main = Handler(Looper.getMainLooper())
    private var watching: Watch? = null

    /** Calls [came] once, on the main thread, unless [stop] was first. */
    @Synchronized
    fun watch(came: () -> Unit) {
        stop()
        watching = Watch(came).also { application.registerActivityLifecycleCallbacks(it) }
    }

    @Synchronized
    fun stop() {
        watching?.let {
            application.unregisterActivityLifecycleCallbacks(it)
            main.removeCallbacks(it)
        }
        watching = null
    }

    private inner class Watch(private val came: () -> Unit) : Application.ActivityLifecycleCallbacks, Runnable {
        /** Back in front: the answer has this long to arrive. The entry activity itself is not the person's return. */
        override fun onActivityResumed(activity: Activity) {
            if (activity is WeChatEntryActivity) return
            main.removeCallbacks(this)
            main.postDelayed(this, graceMillis)
        }

        /** Gone again before the time was over. */
        override fun onActivityPaused(activity: Activity) {
            main.removeCallbacks(this)
        }

        override fun run() {
            val mine = synchronized(this@Returns) { watching === this }
            if (!mine) return
            stop()
            came()
        }

        override fun onActivityCreated(activity: Activity, savedInstanceState: Bundle?): Unit = Unit

        override fun onActivityStarted(activity: Activity): Unit = Unit

        override fun onActivityStopped(activity: Activity): Unit = Unit

        override fun onActivitySaveInstanceState(activity: Activity, outState: Bundle): Unit = Unit

        override fun onActivityDestroyed(activity: Activity): Unit = Unit
    }

    internal companion object {
        private const val GRACE_MILLIS = 1_000L

        fun of(context: Context): Returns = Returns(context.applicationContext as Application)
    }
}
