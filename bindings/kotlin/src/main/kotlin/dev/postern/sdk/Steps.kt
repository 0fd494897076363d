package dev.postern.sdk

import dev.postern.sdk.ffi.AuthorizingStep as FfiAuthorizingStep
import dev.postern.sdk.ffi.FaceStep as FfiFaceStep
import dev.postern.sdk.ffi.PhoneStep as FfiPhoneStep
import dev.postern.sdk.ffi.ReadyStep as FfiReadyStep
import dev.postern.sdk.ffi.RefusedStep as FfiRefusedStep
import dev.postern.sdk.ffi.RegistrationStep as FfiRegistrationStep
import dev.postern.sdk.ffi.SmsCodeStep as FfiSmsCodeStep
import dev.postern.sdk.ffi.StoppedStep as FfiStoppedStep
import dev.postern.sdk.ffi.VerificationStep as FfiVerificationStep

/**
 * What can be done in one [LoginState].
 *
 * Each action returns once the state after it has been announced, and throws a [StepException]. It runs on the SDK's own threads: cancelling the
 * calling coroutine (a rotated screen) cancels nothing.
 */
public sealed class LoginStep(private val hub: StateHub) {
    /**
     * Performs an action. The generated object is destroyed once a newer state was announced, and says so with an IllegalStateException, which is also
     * what a cancelled coroutine throws.
     */
    internal suspend fun act(action: suspend () -> Unit) {
        try {
            action()
        } catch (thrown: Exception) {
            throw translated(thrown, ::overtaken) { StepException.Internal(it) }
        }
    }

    private fun overtaken(closed: String): StepException =
        if (hub.isClosed) StepException.Closed(closed) else StepException.Superseded("this step was overtaken by a newer state")

    override fun toString(): String = javaClass.simpleName
}

/** What can be done while nothing is under way. */
public class ReadyStep internal constructor(hub: StateHub, private val ffi: FfiReadyStep) : LoginStep(hub) {
    /** Begins a login with [provider]: its button was pressed. */
    public suspend fun choose(provider: Provider): Unit = act { ffi.choose(provider.toFfi()) }
}

/** What can be done while the person is at the provider. */
public class AuthorizingStep internal constructor(hub: StateHub, private val ffi: FfiAuthorizingStep) : LoginStep(hub) {
    /** The provider's answer, as its SDK gave it. One that belongs to another attempt throws [StepException.StrayAnswer] and uses nothing up. */
    public suspend fun answer(reply: ProviderReply): Unit = act { ffi.answer(reply.state, reply.code, reply.errorCode) }

    /** The provider's app is not installed. */
    public suspend fun appMissing(): Unit = act { ffi.appMissing() }

    /** The app came to the foreground again, and the provider did not answer. */
    public suspend fun returnedWithoutAnswer(): Unit = act { ffi.returnedWithoutAnswer() }

    /** The person gave up; back to the buttons. */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** What can be done after the provider gave no consent. */
public class RefusedStep internal constructor(hub: StateHub, private val ffi: FfiRefusedStep) : LoginStep(hub) {
    /** Asks the provider again: the person pressed a button (M4). */
    public suspend fun askAgain(): Unit = act { ffi.askAgain() }

    /** Back to the buttons. */
    public suspend fun dismiss(): Unit = act { ffi.dismiss() }
}

/** The answers to the question for the phone number. */
public class PhoneStep internal constructor(hub: StateHub, private val ffi: FfiPhoneStep) : LoginStep(hub) {
    /** A phone number in any usual form (L4, U2). */
    public suspend fun submit(phone: String): Unit = act { ffi.submit(phone) }

    /** The person gave up; the login is over. */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** The answers to the question for the SMS code. */
public class SmsCodeStep internal constructor(hub: StateHub, private val ffi: FfiSmsCodeStep) : LoginStep(hub) {
    /** The code from the SMS. A wrong one costs an attempt. */
    public suspend fun submit(code: String): Unit = act { ffi.submit(code) }

    /** Another SMS, please. */
    public suspend fun resend(): Unit = act { ffi.resend() }

    /** Back to the phone number. */
    public suspend fun changePhone(): Unit = act { ffi.changePhone() }

    /** The person gave up; the login is over. */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** The answers to the question who one is. */
public class VerificationStep internal constructor(hub: StateHub, private val ffi: FfiVerificationStep) : LoginStep(hub) {
    /** The login password (L5, U2). It leaves the device only sealed. A wrong one costs an attempt. */
    public suspend fun submitLoginPassword(password: String): Unit = act { ffi.submitLoginPassword(password) }

    /** A registered card's number and its withdrawal password (L5). They leave the device only sealed. A wrong pair costs an attempt. */
    public suspend fun submitCard(number: String, withdrawalPassword: String): Unit = act { ffi.submitCard(number, withdrawalPassword) }

    /** The person gave up; the login is over. */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** The answers to the question for a new login password. */
public class RegistrationStep internal constructor(hub: StateHub, private val ffi: FfiRegistrationStep) : LoginStep(hub) {
    /** The login password of the new account (L6). It leaves the device only sealed. */
    public suspend fun submit(loginPassword: String): Unit = act { ffi.submit(loginPassword) }

    /** The person gave up; the login is over. Nothing is bound (U1). */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** The answers to the question for a face. */
public class FaceStep internal constructor(hub: StateHub, private val ffi: FfiFaceStep) : LoginStep(hub) {
    /** The face service's ticket, whatever came out: the account center asks the service (L5). */
    public suspend fun submit(ticket: String): Unit = act { ffi.submit(ticket) }

    /** The person does not want face recognition (L5): the login stops, and [Stop.alternative] says what the bank offers instead. */
    public suspend fun decline(): Unit = act { ffi.decline() }

    /** The person gave up; the login is over. */
    public suspend fun cancel(): Unit = act { ffi.cancel() }
}

/** What can be done after a login ended without a session. */
public class StoppedStep internal constructor(hub: StateHub, private val ffi: FfiStoppedStep) : LoginStep(hub) {
    /** Tries to save the session again, where [Stop.canTryAgain] says so. */
    public suspend fun tryAgain(): Unit = act { ffi.tryAgain() }

    /** Back to the buttons. */
    public suspend fun startOver(): Unit = act { ffi.startOver() }
}
