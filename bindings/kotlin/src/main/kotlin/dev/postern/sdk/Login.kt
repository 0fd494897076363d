package dev.postern.sdk

import dev.postern.sdk.ffi.Login as FfiLogin
import dev.postern.sdk.ffi.Postern as FfiPostern
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.flow.StateFlow

/**
 * A login, from the button to the kept session.
 *
 * One that waits for the person is kept through the death of the process: a later [Postern.login] goes on from there.
 */
public class Login internal constructor(
    postern: FfiPostern,
    adapters: List<ProviderAdapter>,
    dispatcher: CoroutineDispatcher,
    warn: Warnings,
) : AutoCloseable {
    private val hub = StateHub(warn)
    private val desk = AdapterDesk(adapters, dispatcher, warn)
    private val ffi: FfiLogin

    init {
        if (adapters.isNotEmpty()) hub.observe(desk)
        ffi = closableCall { postern.login(hub) }
    }

    /** Where it stands. A slow collector gets the newest state; [observe] hears each one. */
    public val states: StateFlow<LoginState> get() = hub.states

    /** Where it stands now. */
    public val state: LoginState get() = hub.states.value

    internal val isClosed: Boolean get() = hub.isClosed

    /** Tells [observer] the present state, and every later one in order, until the returned handle or this login is closed. */
    public fun observe(observer: LoginObserver): AutoCloseable = hub.observe(observer)

    /**
     * Hands over a provider's answer without knowing the state: for an app that the provider's answer has just started.
     *
     * @throws StepException.StrayAnswer where no attempt waits for it; nothing is changed then
     */
    public suspend fun deliver(reply: ProviderReply) {
        closableCall { ffi.deliver(reply.state, reply.code, reply.errorCode) }
    }

    /** Ends the announcements. What the person has done so far is kept. */
    override fun close() {
        desk.close()
        hub.close()
        try {
            ffi.stopListening()
        } catch (_: Exception) {
            // Closed before.
        }
        ffi.destroy()
    }

    override fun toString(): String = "Login($state)"
}
