package androidx.test.platform.app

import android.app.Instrumentation
import android.os.Bundle

/** Robolectric asks for it; the original is not on Maven Central. */
object InstrumentationRegistry {
    private var registered: Pair<Instrumentation, Bundle>? = null

    @JvmStatic
    fun registerInstance(instrumentation: Instrumentation?, arguments: Bundle?) {
        registered = instrumentation?.let { it to (arguments ?: Bundle()) }
    }

    @JvmStatic
    fun getInstrumentation(): Instrumentation = checkNotNull(registered) { "no instrumentation" }.first

    @JvmStatic
    fun getArguments(): Bundle = Bundle(checkNotNull(registered) { "no instrumentation" }.second)
}
