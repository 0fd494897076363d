// What can be done in each state, and nothing else.
//
// An action returns once the state after it has been announced, and throws a `StepError`. It runs on the SDK's own threads: cancelling the calling
// task (a view that goes away) cancels nothing.
internal import PosternFFI

/// What can be done while nothing is under way.
public final class ReadyStep: Sendable, Redacted {
    private let ffi: FFIReadyStep

    init(_ ffi: FFIReadyStep) {
        self.ffi = ffi
    }

    /// Begins a login with `provider`: its button was pressed.
    public func choose(_ provider: Provider) async throws(StepError) {
        try await stepCall(ffi) { try await $0.choose(provider: provider.ffi) }
    }

    /// The step's name.
    public var description: String { "ReadyStep" }
}

/// What can be done while the person is at the provider.
public final class AuthorizingStep: Sendable, Redacted {
    private let ffi: FFIAuthorizingStep

    init(_ ffi: FFIAuthorizingStep) {
        self.ffi = ffi
    }

    /// The provider's answer, as its SDK gave it. One that belongs to another attempt throws ``StepError/strayAnswer`` and uses nothing up.
    public func answer(_ reply: ProviderReply) async throws(StepError) {
        try await stepCall(ffi) { try await $0.answer(state: reply.state, code: reply.code, errorCode: reply.errorCode) }
    }

    /// The provider's app is not installed.
    public func appMissing() async throws(StepError) {
        try await stepCall(ffi) { try await $0.appMissing() }
    }

    /// The app came to the foreground again, and the provider did not answer.
    public func returnedWithoutAnswer() async throws(StepError) {
        try await stepCall(ffi) { try await $0.returnedWithoutAnswer() }
    }

    /// The person gave up; back to the buttons.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "AuthorizingStep" }
}

/// What can be done after the provider gave no consent.
public final class RefusedStep: Sendable, Redacted {
    private let ffi: FFIRefusedStep

    init(_ ffi: FFIRefusedStep) {
        self.ffi = ffi
    }

    /// Asks the provider again: the person pressed a button (M4).
    public func askAgain() async throws(StepError) {
        try await stepCall(ffi) { try await $0.askAgain() }
    }

    /// Back to the buttons.
    public func dismiss() async throws(StepError) {
        try await stepCall(ffi) { try await $0.dismiss() }
    }

    /// The step's name.
    public var description: String { "RefusedStep" }
}

/// The answers to the question for the phone number.
public final class PhoneStep: Sendable, Redacted {
    private let ffi: FFIPhoneStep

    init(_ ffi: FFIPhoneStep) {
        self.ffi = ffi
    }

    /// A phone number in any usual form (L4, U2).
    public func submit(_ phone: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submit(phone: phone) }
    }

    /// The person gave up; the login is over.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "PhoneStep" }
}

/// The answers to the question for the SMS code.
public final class SMSCodeStep: Sendable, Redacted {
    private let ffi: FFISmsCodeStep

    init(_ ffi: FFISmsCodeStep) {
        self.ffi = ffi
    }

    /// The code from the SMS. A wrong one costs an attempt.
    public func submit(_ code: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submit(code: code) }
    }

    /// Another SMS, please.
    public func resend() async throws(StepError) {
        try await stepCall(ffi) { try await $0.resend() }
    }

    /// Back to the phone number.
    public func changePhone() async throws(StepError) {
        try await stepCall(ffi) { try await $0.changePhone() }
    }

    /// The person gave up; the login is over.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "SMSCodeStep" }
}

/// The answers to the question who one is.
public final class VerificationStep: Sendable, Redacted {
    private let ffi: FFIVerificationStep

    init(_ ffi: FFIVerificationStep) {
        self.ffi = ffi
    }

    /// The login password (L5, U2). It leaves the device only sealed.
    public func submit(loginPassword: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submitLoginPassword(password: loginPassword) }
    }

    /// A registered card's number and its withdrawal password (L5). They leave the device only sealed.
    public func submit(cardNumber: String, withdrawalPassword: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submitCard(number: cardNumber, withdrawalPassword: withdrawalPassword) }
    }

    /// The person gave up; the login is over.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "VerificationStep" }
}

/// The answers to the question for a new login password.
public final class RegistrationStep: Sendable, Redacted {
    private let ffi: FFIRegistrationStep

    init(_ ffi: FFIRegistrationStep) {
        self.ffi = ffi
    }

    /// The login password of the new account (L6). It leaves the device only sealed.
    public func submit(loginPassword: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submit(loginPassword: loginPassword) }
    }

    /// The person gave up; the login is over.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "RegistrationStep" }
}

/// The answers to the question for a face.
public final class FaceStep: Sendable, Redacted {
    private let ffi: FFIFaceStep

    init(_ ffi: FFIFaceStep) {
        self.ffi = ffi
    }

    /// The face service's ticket.
    public func submit(ticket: String) async throws(StepError) {
        try await stepCall(ffi) { try await $0.submit(ticket: ticket) }
    }

    /// The person does not want face recognition (L5); the login stops, and the state names the bank's alternative.
    public func decline() async throws(StepError) {
        try await stepCall(ffi) { try await $0.decline() }
    }

    /// The person gave up; the login is over.
    public func cancel() async throws(StepError) {
        try await stepCall(ffi) { try await $0.cancel() }
    }

    /// The step's name.
    public var description: String { "FaceStep" }
}

/// What can be done after a login ended without a session.
public final class StoppedStep: Sendable, Redacted {
    private let ffi: FFIStoppedStep

    init(_ ffi: FFIStoppedStep) {
        self.ffi = ffi
    }

    /// Tries to save the session again, where ``Stop/canTryAgain`` says so.
    public func tryAgain() async throws(StepError) {
        try await stepCall(ffi) { try await $0.tryAgain() }
    }

    /// Back to the buttons.
    public func startOver() async throws(StepError) {
        try await stepCall(ffi) { try await $0.startOver() }
    }

    /// The step's name.
    public var description: String { "StoppedStep" }
}
