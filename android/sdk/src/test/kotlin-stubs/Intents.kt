package androidx.test.runner.intent

import android.app.Instrumentation.ActivityResult
import android.content.Intent

// Robolectric announces and stubs intents through these; the originals are not on Maven Central.

fun interface IntentCallback {
    fun onIntentSent(intent: Intent)
}

interface IntentMonitor {
    fun addIntentCallback(callback: IntentCallback)

    fun removeIntentCallback(callback: IntentCallback)
}

object IntentMonitorRegistry {
    private var registered: IntentMonitor? = null

    @JvmStatic
    fun registerInstance(monitor: IntentMonitor?) {
        registered = monitor
    }

    @JvmStatic
    fun getInstance(): IntentMonitor = checkNotNull(registered) { "no intent monitor" }
}

interface IntentStubber {
    fun getActivityResultForIntent(intent: Intent): ActivityResult?
}

object IntentStubberRegistry {
    private var loaded: IntentStubber? = null

    @JvmStatic
    fun load(stubber: IntentStubber) {
        loaded = stubber
    }

    @JvmStatic
    fun isLoaded(): Boolean = loaded != null

    @JvmStatic
    fun getInstance(): IntentStubber = checkNotNull(loaded) { "no intent stubber" }

    @JvmStatic
    fun reset() {
        loaded = null
    }
}
