// What is shown: facts of the states. Whole seconds count from the announcement of their state.
import Foundation
internal import PosternFFI

/// One text in the languages that the product speaks.
public struct LocalizedText: Sendable, Hashable {
    /// Simplified Chinese.
    public let zh: String
    /// English.
    public let en: String

    init(_ ffi: FFILocalizedText) {
        zh = ffi.zh
        en = ffi.en
    }

    /// The text for a language tag: Chinese for `zh…`, English for every other.
    public func text(forLanguage tag: String) -> String { tag.lowercased().hasPrefix("zh") ? zh : en }
}

/// A provider's button.
public struct LoginButton: Sendable, Hashable {
    /// The provider.
    public let provider: Provider
    /// The button's text.
    public let label: LocalizedText

    init(_ ffi: FFILoginButton) {
        provider = Provider(ffi.provider)
        label = LocalizedText(ffi.label)
    }
}

/// Why the last start or answer did not lead on. The person stays where they were.
public struct Failure: Sendable, Hashable {
    /// What to do about it.
    public let kind: FailureKind
    /// A stable word, such as `sms_code_wrong`; for analysis, not for the person.
    public let code: String
    /// Seconds to wait before another try.
    public let retryAfter: Int?
    /// The server's name for the request; for a support line.
    public let requestID: String?

    init(_ ffi: FFIFailure) {
        kind = FailureKind(ffi.kind)
        code = ffi.code
        retryAfter = ffi.retryAfter.map(Int.init(clamping:))
        requestID = ffi.requestId
    }
}

/// The end of a login that led to no session.
public struct Stop: Sendable, Hashable {
    /// Why.
    public let reason: StopReason
    /// A stable word, as in ``Failure/code``.
    public let code: String
    /// Seconds to wait before another try.
    public let retryAfter: Int?
    /// What the bank offers to somebody who declines face recognition (L5).
    public let alternative: LocalizedText?
    /// The server's name for the request; for a support line.
    public let requestID: String?
    /// Whether ``StoppedStep/tryAgain()`` can still make the login succeed.
    public let canTryAgain: Bool

    init(_ ffi: FFIStop) {
        reason = StopReason(ffi.reason)
        code = ffi.code
        retryAfter = ffi.retryAfter.map(Int.init(clamping:))
        alternative = ffi.alternative.map(LocalizedText.init)
        requestID = ffi.requestId
        canTryAgain = ffi.canTryAgain
    }
}

/// Who was asked and did not consent. A button may ask again at once, whatever it was (M4).
public struct Refusal: Sendable, Hashable {
    /// Who was asked.
    public let provider: Provider
    /// What happened.
    public let kind: RefusalKind
    /// After a denial: where the person finds what they allowed, in the provider's own app (M4).
    public let settingsHint: LocalizedText?

    init(_ ffi: FFIRefusal) {
        provider = Provider(ffi.provider)
        kind = RefusalKind(ffi.kind)
        settingsHint = ffi.settingsHint.map(LocalizedText.init)
    }
}

/// What the app hands to the provider's SDK.
public struct AuthorizationRequest: Sendable, Hashable, Redacted {
    /// Whom to ask.
    public let provider: Provider
    /// Our app's id at the provider.
    public let providerAppID: String
    /// What to ask for.
    public let scope: String
    /// The attempt's own random value: the answer must bring it back.
    public let state: String
    /// Whether a new process found this attempt: the provider is not opened again; its answer may be on its way.
    public let isResumed: Bool

    /// For the tests of adapters; else the SDK makes it.
    public init(provider: Provider, providerAppID: String, scope: String, state: String, isResumed: Bool = false) {
        self.provider = provider
        self.providerAppID = providerAppID
        self.scope = scope
        self.state = state
        self.isResumed = isResumed
    }

    init(_ ffi: FFIAuthorizationRequest) {
        self.init(
            provider: Provider(ffi.provider),
            providerAppID: ffi.providerAppId,
            scope: ffi.scope,
            state: ffi.state,
            isResumed: ffi.resumed
        )
    }

    /// Whom, without the random value.
    public var description: String { "AuthorizationRequest(\(provider), resumed: \(isResumed), [redacted])" }
}

/// A provider's answer, as its SDK gave it.
public struct ProviderReply: Sendable, Hashable, Redacted {
    /// The `state` that came back.
    public let state: String?
    /// The code, where the person agreed.
    public let code: String?
    /// The provider's own number for what happened.
    public let errorCode: Int32?

    /// What came back; nothing for what did not.
    public init(state: String?, code: String? = nil, errorCode: Int32? = nil) {
        self.state = state
        self.code = code
        self.errorCode = errorCode
    }

    /// The provider's number, without code and state.
    public var description: String { "ProviderReply(\(errorCode.map(String.init) ?? "no number"), [redacted])" }
}

/// Facts of the first state.
public struct ReadyInfo: Sendable, Hashable {
    /// Why the last start failed.
    public let failure: Failure?

    init(_ ffi: FFIReadyInfo) {
        failure = ffi.failure.map(Failure.init)
    }
}

/// Facts for asking the phone number (L4).
public struct PhoneInfo: Sendable, Hashable {
    /// Why the last answer failed.
    public let failure: Failure?
    /// Until the login ends.
    public let expiresIn: Int

    init(_ ffi: FFIPhoneInfo) {
        failure = ffi.failure.map(Failure.init)
        expiresIn = Int(clamping: ffi.expiresIn)
    }
}

/// Facts for asking the SMS code (L4).
public struct SMSCodeInfo: Sendable, Hashable, Redacted {
    /// The masked number, such as `138****0000`.
    public let sentTo: String
    /// How many digits the code has.
    public let digits: Int
    /// Wrong codes that are still allowed.
    public let attemptsLeft: Int
    /// Until another code may be asked for; 0 is now.
    public let resendAfter: Int
    /// Until the code is too old.
    public let codeExpiresIn: Int
    /// Why the last answer failed.
    public let failure: Failure?
    /// Until the login ends.
    public let expiresIn: Int

    init(_ ffi: FFISmsCodeInfo) {
        sentTo = ffi.sentTo
        digits = Int(ffi.digits)
        attemptsLeft = Int(ffi.attemptsLeft)
        resendAfter = Int(clamping: ffi.resendAfter)
        codeExpiresIn = Int(clamping: ffi.codeExpiresIn)
        failure = ffi.failure.map(Failure.init)
        expiresIn = Int(clamping: ffi.expiresIn)
    }

    /// Without the number.
    public var description: String { "SMSCodeInfo(attemptsLeft: \(attemptsLeft), \(code(failure)), [redacted])" }
}

/// Facts for proving who one is (L5, U2).
public struct VerificationInfo: Sendable, Hashable {
    /// The ways that are offered.
    public let methods: [VerificationMethod]
    /// Wrong proofs that are still allowed.
    public let attemptsLeft: Int
    /// Why the last answer failed.
    public let failure: Failure?
    /// Until the login ends.
    public let expiresIn: Int

    init(_ ffi: FFIVerificationInfo) {
        methods = ffi.methods.map(VerificationMethod.init)
        attemptsLeft = Int(ffi.attemptsLeft)
        failure = ffi.failure.map(Failure.init)
        expiresIn = Int(clamping: ffi.expiresIn)
    }
}

/// What a new login password must look like.
public struct PasswordRules: Sendable, Hashable {
    /// The least number of characters.
    public let minLength: Int
    /// The greatest number of characters.
    public let maxLength: Int
    /// The least number of kinds among small letters, capital letters, digits, others.
    public let minClasses: Int

    init(_ ffi: FFIPasswordRules) {
        minLength = Int(ffi.minLength)
        maxLength = Int(ffi.maxLength)
        minClasses = Int(ffi.minClasses)
    }
}

/// Facts for registering (L6).
public struct RegistrationInfo: Sendable, Hashable {
    /// What the new password must look like.
    public let rules: PasswordRules
    /// Why the last answer failed.
    public let failure: Failure?
    /// Until the login ends.
    public let expiresIn: Int

    init(_ ffi: FFIRegistrationInfo) {
        rules = PasswordRules(ffi.rules)
        failure = ffi.failure.map(Failure.init)
        expiresIn = Int(clamping: ffi.expiresIn)
    }
}

/// Facts for face recognition (L5, L7).
public struct FaceInfo: Sendable, Hashable, Redacted {
    /// The face service's session.
    public let faceSession: String
    /// Where the face service is; nothing where the text that came is no URL.
    public let url: URL?
    /// Binds the ticket to this login.
    public let nonce: String
    /// What the bank offers to somebody who declines; shown beside the question (L5).
    public let alternative: LocalizedText
    /// Failed recognitions that are still allowed.
    public let attemptsLeft: Int
    /// Why the last answer failed.
    public let failure: Failure?
    /// Until the login ends.
    public let expiresIn: Int

    init(_ ffi: FFIFaceInfo) {
        faceSession = ffi.faceSession
        url = URL(string: ffi.url)
        nonce = ffi.nonce
        alternative = LocalizedText(ffi.alternative)
        attemptsLeft = Int(ffi.attemptsLeft)
        failure = ffi.failure.map(Failure.init)
        expiresIn = Int(clamping: ffi.expiresIn)
    }

    /// Without session, URL and nonce.
    public var description: String { "FaceInfo(attemptsLeft: \(attemptsLeft), \(code(failure)), [redacted])" }
}

/// A provider that the account is bound to.
public struct BindingSummary: Sendable, Hashable {
    /// The provider's name on the wire, such as `wechat`; a later server may send one that this version does not know.
    public let provider: String
    /// Since when.
    public let boundAt: Date

    init(_ ffi: FFIBindingSummary) {
        provider = ffi.provider
        boundAt = Date(timeIntervalSince1970: TimeInterval(ffi.boundAt))
    }
}

/// An account as it is shown to its owner.
public struct AccountSummary: Sendable, Hashable, Redacted {
    /// The bank's own id of the account: the primary key for business lines (M5).
    public let userID: String
    /// How the holder was identified (L10).
    public let identification: Identification
    /// Such as `138****0000`.
    public let phoneMasked: String
    /// The nickname from the provider's profile, where the person allowed it (M3).
    public let nickname: String?
    /// The picture from the provider's profile.
    public let avatarURL: URL?
    /// The providers bound to it, oldest first.
    public let bindings: [BindingSummary]

    init(_ ffi: FFIAccountSummary) {
        userID = ffi.userId
        identification = Identification(ffi.identification)
        phoneMasked = ffi.phoneMasked
        nickname = ffi.nickname
        avatarURL = ffi.avatarUrl.flatMap(URL.init(string:))
        bindings = ffi.bindings.map(BindingSummary.init)
    }

    /// Without anything personal.
    public var description: String { "AccountSummary(\(identification), [redacted])" }
}

/// One of the account's sessions: a device that is logged in.
public struct SessionSummary: Sendable, Hashable, Redacted {
    /// The session's id; no credential.
    public let sessionID: String
    /// Since when.
    public let createdAt: Date
    /// When it was last heard of.
    public let lastUsedAt: Date
    /// The provider that it began with, by its name on the wire.
    public let beganWith: String
    /// Whether it is this device's.
    public let isCurrent: Bool

    init(_ ffi: FFISessionSummary) {
        sessionID = ffi.sessionId
        createdAt = Date(timeIntervalSince1970: TimeInterval(ffi.createdAt))
        lastUsedAt = Date(timeIntervalSince1970: TimeInterval(ffi.lastUsedAt))
        beganWith = ffi.beganWith
        isCurrent = ffi.current
    }

    /// Without the id.
    public var description: String { "SessionSummary(\(beganWith), current: \(isCurrent))" }
}

private func code(_ failure: Failure?) -> String { failure?.code ?? "no failure" }
