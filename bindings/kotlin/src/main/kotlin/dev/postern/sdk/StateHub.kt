package dev.postern.sdk

import dev.postern.sdk.ffi.LoginListener as FfiLoginListener
import dev.postern.sdk.ffi.LoginState as FfiLoginState
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow

/**
 * Receives the generated states and gives out the public ones. It knows neither [Login] nor [Postern]: a login that nobody holds can be collected, and
 * its native side goes with it.
 */
internal class StateHub(private val warn: Warnings) : FfiLoginListener {
    init {
        CallbackThreads.listener.beDaemons()
    }

    private val lock = Any()
    private val current = MutableStateFlow<LoginState>(LoginState.Resolving)

    /** Guarded by [lock]. */
    private val observers = mutableListOf<Observation>()

    /** The newest generated state, whose step is alive. Guarded by [lock]. */
    private var alive: FfiLoginState? = null

    @Volatile
    var isClosed: Boolean = false
        private set

    val states: StateFlow<LoginState> = current.asStateFlow()

    /** On a thread of the SDK, one state at a time. Nothing thrown here may reach the generated code. */
    override fun onState(state: FfiLoginState) {
        try {
            val overtaken: FfiLoginState?
            val told: List<Observation>
            synchronized(lock) {
                if (isClosed) {
                    overtaken = state
                    told = emptyList()
                } else {
                    overtaken = alive
                    alive = state
                    val announced = public(state)
                    current.value = announced
                    told = observers.toList()
                    for (observation in told) observation.queue(announced)
                }
            }
            // At once, not when a collector comes by.
            overtaken?.destroy()
            for (observation in told) observation.tell()
        } catch (thrown: Throwable) {
            warn.say("a state could not be announced: ${thrown.javaClass.name}")
        }
    }

    /** Tells the present state and all later ones. */
    fun observe(observer: LoginObserver): AutoCloseable {
        val observation = Observation(observer)
        synchronized(lock) {
            observation.queue(current.value)
            if (!isClosed) observers += observation
        }
        observation.tell()
        return observation
    }

    fun close() {
        val last: FfiLoginState?
        synchronized(lock) {
            isClosed = true
            last = alive
            alive = null
            observers.clear()
        }
        last?.destroy()
    }

    /** One observer. Its states come one after the other and in order, from whichever thread; no lock is held while the app's code runs. */
    private inner class Observation(private val observer: LoginObserver) : AutoCloseable {
        private val waiting = ArrayDeque<LoginState>()
        private var telling = false
        private var newest: LoginState? = null

        fun queue(state: LoginState): Unit = synchronized(this) {
            // The present state may come from both sides.
            if (newest !== state) waiting += state
            newest = state
        }

        fun tell() {
            while (true) {
                val state = synchronized(this) {
                    if (telling) return
                    telling = waiting.isNotEmpty()
                    waiting.removeFirstOrNull()
                } ?: return
                try {
                    observer.onState(state)
                } catch (thrown: Throwable) {
                    // Its message may hold anything.
                    warn.say("an observer threw ${thrown.javaClass.name}")
                } finally {
                    synchronized(this) { telling = false }
                }
            }
        }

        override fun close() {
            synchronized(lock) { observers -= this }
            synchronized(this) { waiting.clear() }
        }
    }

    private fun public(state: FfiLoginState): LoginState = when (state) {
        is FfiLoginState.Ready -> LoginState.Ready(ReadyInfo(state.info), ReadyStep(this, state.step))
        is FfiLoginState.Authorizing ->
            LoginState.Authorizing(AuthorizationRequest(state.request), AuthorizingStep(this, state.step))
        is FfiLoginState.Refused -> LoginState.Refused(Refusal(state.refusal), RefusedStep(this, state.step))
        is FfiLoginState.Resolving -> LoginState.Resolving
        is FfiLoginState.PhoneNeeded -> LoginState.PhoneNeeded(PhoneInfo(state.info), PhoneStep(this, state.step))
        is FfiLoginState.SmsCodeNeeded -> LoginState.SmsCodeNeeded(SmsCodeInfo(state.info), SmsCodeStep(this, state.step))
        is FfiLoginState.VerificationNeeded ->
            LoginState.VerificationNeeded(VerificationInfo(state.info), VerificationStep(this, state.step))
        is FfiLoginState.RegistrationNeeded ->
            LoginState.RegistrationNeeded(RegistrationInfo(state.info), RegistrationStep(this, state.step))
        is FfiLoginState.FaceNeeded -> LoginState.FaceNeeded(FaceInfo(state.info), FaceStep(this, state.step))
        is FfiLoginState.LoggedIn -> LoginState.LoggedIn(AccountSummary(state.account))
        is FfiLoginState.Stopped -> LoginState.Stopped(Stop(state.stop), StoppedStep(this, state.step))
    }
}
