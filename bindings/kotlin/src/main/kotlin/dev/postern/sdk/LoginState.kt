package dev.postern.sdk

/**
 * Where a login stands: facts to show, and a step with just the actions that this state has.
 *
 * A state is overtaken by the next one; its step then answers [StepException.Superseded] and changes nothing.
 */
public sealed class LoginState {
    /** Nothing is under way: show the buttons. */
    public class Ready internal constructor(public val info: ReadyInfo, public val step: ReadyStep) : LoginState()

    /** The person is, or is to be, at the provider. With a [ProviderAdapter] the SDK sees to it; else hand [request] to the provider's SDK. */
    public class Authorizing internal constructor(
        public val request: AuthorizationRequest,
        public val step: AuthorizingStep,
    ) : LoginState()

    /** The provider gave no consent. */
    public class Refused internal constructor(public val refusal: Refusal, public val step: RefusedStep) : LoginState()

    /** Something is being done; show that the person has to wait. */
    public object Resolving : LoginState()

    /** Ask for the phone number. */
    public class PhoneNeeded internal constructor(public val info: PhoneInfo, public val step: PhoneStep) : LoginState()

    /** Ask for the SMS code. */
    public class SmsCodeNeeded internal constructor(public val info: SmsCodeInfo, public val step: SmsCodeStep) : LoginState()

    /** Ask the person to prove who they are: login password, or card and withdrawal password. */
    public class VerificationNeeded internal constructor(
        public val info: VerificationInfo,
        public val step: VerificationStep,
    ) : LoginState()

    /** Ask for a new login password. */
    public class RegistrationNeeded internal constructor(
        public val info: RegistrationInfo,
        public val step: RegistrationStep,
    ) : LoginState()

    /** Start face recognition. */
    public class FaceNeeded internal constructor(public val info: FaceInfo, public val step: FaceStep) : LoginState()

    /** There is a session, and it is saved. */
    public class LoggedIn internal constructor(public val account: AccountSummary) : LoginState()

    /** The login is over without a session. */
    public class Stopped internal constructor(public val stop: Stop, public val step: StoppedStep) : LoginState()

    override fun toString(): String = when (this) {
        is Ready -> "Ready($info)"
        is Authorizing -> "Authorizing($request)"
        is Refused -> "Refused($refusal)"
        Resolving -> "Resolving"
        is PhoneNeeded -> "PhoneNeeded($info)"
        is SmsCodeNeeded -> "SmsCodeNeeded($info)"
        is VerificationNeeded -> "VerificationNeeded($info)"
        is RegistrationNeeded -> "RegistrationNeeded($info)"
        is FaceNeeded -> "FaceNeeded($info)"
        is LoggedIn -> "LoggedIn($account)"
        is Stopped -> "Stopped($stop)"
    }
}
