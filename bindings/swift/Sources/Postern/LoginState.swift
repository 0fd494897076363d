internal import PosternFFI

/// Where a login stands: facts to show, and a step with just the actions that this state has.
///
/// A state is overtaken by the next one; its step then throws ``StepError/superseded`` and changes nothing.
public enum LoginState: Sendable, Redacted {
    /// Nothing is under way: show the buttons.
    case ready(ReadyInfo, ReadyStep)
    /// The person is, or is to be, at the provider. With a ``ProviderAdapter`` the SDK sees to it; else hand the request to the provider's SDK.
    case authorizing(AuthorizationRequest, AuthorizingStep)
    /// The provider gave no consent.
    case refused(Refusal, RefusedStep)
    /// Something is being done; show that the person has to wait.
    case resolving
    /// Ask for the phone number.
    case phoneNeeded(PhoneInfo, PhoneStep)
    /// Ask for the SMS code.
    case smsCodeNeeded(SMSCodeInfo, SMSCodeStep)
    /// Ask the person to prove who they are: login password, or card and withdrawal password.
    case verificationNeeded(VerificationInfo, VerificationStep)
    /// Ask for a new login password.
    case registrationNeeded(RegistrationInfo, RegistrationStep)
    /// Start face recognition.
    case faceNeeded(FaceInfo, FaceStep)
    /// There is a session, and it is saved.
    case loggedIn(AccountSummary)
    /// The login is over without a session.
    case stopped(Stop, StoppedStep)

    init(_ ffi: FFILoginState) {
        self =
            switch ffi {
            case .ready(let info, let step): .ready(ReadyInfo(info), ReadyStep(step))
            case .authorizing(let request, let step): .authorizing(AuthorizationRequest(request), AuthorizingStep(step))
            case .refused(let refusal, let step): .refused(Refusal(refusal), RefusedStep(step))
            case .resolving: .resolving
            case .phoneNeeded(let info, let step): .phoneNeeded(PhoneInfo(info), PhoneStep(step))
            case .smsCodeNeeded(let info, let step): .smsCodeNeeded(SMSCodeInfo(info), SMSCodeStep(step))
            case .verificationNeeded(let info, let step): .verificationNeeded(VerificationInfo(info), VerificationStep(step))
            case .registrationNeeded(let info, let step): .registrationNeeded(RegistrationInfo(info), RegistrationStep(step))
            case .faceNeeded(let info, let step): .faceNeeded(FaceInfo(info), FaceStep(step))
            case .loggedIn(let account): .loggedIn(AccountSummary(account))
            case .stopped(let stop, let step): .stopped(Stop(stop), StoppedStep(step))
            }
    }

    /// The state's name, and what is harmless of its facts.
    public var description: String {
        switch self {
        case .ready(let info, _): "ready(\(word(info.failure)))"
        case .authorizing(let request, _): "authorizing(\(request))"
        case .refused(let refusal, _): "refused(\(refusal.kind))"
        case .resolving: "resolving"
        case .phoneNeeded(let info, _): "phoneNeeded(\(word(info.failure)))"
        case .smsCodeNeeded(let info, _): "smsCodeNeeded(\(info))"
        case .verificationNeeded(let info, _): "verificationNeeded(attemptsLeft: \(info.attemptsLeft), \(word(info.failure)))"
        case .registrationNeeded(let info, _): "registrationNeeded(\(word(info.failure)))"
        case .faceNeeded(let info, _): "faceNeeded(\(info))"
        case .loggedIn(let account): "loggedIn(\(account))"
        case .stopped(let stop, _): "stopped(\(stop.reason))"
        }
    }

    var isResolving: Bool {
        if case .resolving = self { true } else { false }
    }

    var isLoggedIn: Bool {
        if case .loggedIn = self { true } else { false }
    }
}

private func word(_ failure: Failure?) -> String { failure?.code ?? "" }
