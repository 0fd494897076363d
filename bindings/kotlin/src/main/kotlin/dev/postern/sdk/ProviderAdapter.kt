package dev.postern.sdk

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** Leads a person to one provider and back: a few lines over the provider's own SDK. */
public interface ProviderAdapter {
    /** The provider it serves. */
    public val provider: Provider

    /** Whether the provider's app is there (where it needs none: true). Called before each [authorize]. */
    public fun isInstalled(): Boolean

    /** Opens the provider's app or page. Returns at once; [reply] hears later what came of it. What it throws counts as the provider's failure. */
    public fun authorize(request: AuthorizationRequest, reply: ProviderReplies)

    /**
     * A new process found the attempt [request]: the person may still be at the provider. Do not open it again; hand over an answer that is here already, or
     * one that comes. By default nothing: the app shows that it waits, and the step's `cancel()` leads back.
     */
    public fun resume(request: AuthorizationRequest, reply: ProviderReplies) {}
}

/** Where a [ProviderAdapter] says what came of an attempt. The first word counts; a later one, or one for an older attempt, changes nothing. */
public interface ProviderReplies {
    /** The provider's answer, as its SDK gave it. */
    public fun answered(reply: ProviderReply)

    /** The provider's app is not installed, or too old. */
    public fun appMissing()

    /** The app came to the foreground again, and the provider did not answer. */
    public fun returnedWithoutAnswer()

    /** The person pressed back; to the buttons. */
    public fun cancelled()
}

/** The error number that every provider's SDK uses for "failed, for no reason that I name". */
private const val PROVIDER_FAILED = -1

/** Calls the adapters as the states ask for it. */
internal class AdapterDesk(
    adapters: List<ProviderAdapter>,
    dispatcher: CoroutineDispatcher,
    private val warn: Warnings,
) : LoginObserver {
    private val adapters = adapters.associateBy { it.provider }
    private val scope = CoroutineScope(SupervisorJob() + dispatcher)

    override fun onState(state: LoginState) {
        if (state !is LoginState.Authorizing) return
        val adapter = adapters[state.request.provider] ?: return
        scope.launch { lead(adapter, state) }
    }

    fun close() {
        scope.cancel()
    }

    private fun lead(adapter: ProviderAdapter, state: LoginState.Authorizing) {
        val replies = Replies(state.step)
        try {
            when {
                state.request.resumed -> adapter.resume(state.request, replies)
                adapter.isInstalled() -> adapter.authorize(state.request, replies)
                else -> replies.appMissing()
            }
        } catch (thrown: Throwable) {
            warn.say("the adapter of ${adapter.provider} threw ${thrown.javaClass.name}")
            replies.answered(ProviderReply(state.request.state, errorCode = PROVIDER_FAILED))
        }
    }

    private inner class Replies(private val step: AuthorizingStep) : ProviderReplies {
        override fun answered(reply: ProviderReply): Unit = send { step.answer(reply) }

        override fun appMissing(): Unit = send { step.appMissing() }

        override fun returnedWithoutAnswer(): Unit = send { step.returnedWithoutAnswer() }

        override fun cancelled(): Unit = send { step.cancel() }

        /** Undispatched: the answer is with the SDK when this returns, also where the dispatcher's thread is about to go. */
        private fun send(answer: suspend () -> Unit) {
            scope.launch(start = CoroutineStart.UNDISPATCHED) {
                try {
                    answer()
                } catch (_: StepException) {
                    // Overtaken, or of another attempt: the states say what holds.
                }
            }
        }

        override fun toString(): String = "ProviderReplies"
    }
}
