internal import PosternFFI

/// Who vouches for a person.
public enum Provider: Sendable, Hashable, CaseIterable {
    /// WeChat.
    case weChat
    /// Alipay.
    case alipay
    /// QQ.
    case qq
    /// Weibo.
    case weibo
    /// A standard OpenID Connect issuer.
    case oidc

    init(_ ffi: FFIProvider) {
        self =
            switch ffi {
            case .weChat: .weChat
            case .alipay: .alipay
            case .qq: .qq
            case .weibo: .weibo
            case .oidc: .oidc
            }
    }

    var ffi: FFIProvider {
        switch self {
        case .weChat: .weChat
        case .alipay: .alipay
        case .qq: .qq
        case .weibo: .weibo
        case .oidc: .oidc
        }
    }
}

/// What to do about a ``Failure``.
public enum FailureKind: Sendable, Hashable, CaseIterable {
    /// The answer was wrong or not acceptable: let the person correct it.
    case answerWrong
    /// The SMS code is too old: offer a new one.
    case codeExpired
    /// Too soon or too often: wait ``Failure/retryAfter``, then again.
    case wait
    /// No reply: offer to try again; a call that may have arrived is not carried out twice.
    case network
    /// The account center, or something behind it, has trouble: again later.
    case serverTrouble
    /// The login stood elsewhere than the screen: show the present step, nothing was changed.
    case moved
    /// The provider's consent could not be used: offer to authorize again, or another way to log in.
    case providerTrouble
    /// Not offered here: offer another way to log in.
    case notOffered
    /// The server could not prove who it is, so no secret was sent: advise another network or an update of the app.
    case untrusted
    /// This device could not keep or sign something (locked storage): again once it is unlocked.
    case device
    /// The account center refuses for another reason; show the way to the bank's service.
    case refused

    init(_ ffi: FFIFailureKind) {
        self =
            switch ffi {
            case .answerWrong: .answerWrong
            case .codeExpired: .codeExpired
            case .wait: .wait
            case .network: .network
            case .serverTrouble: .serverTrouble
            case .moved: .moved
            case .providerTrouble: .providerTrouble
            case .notOffered: .notOffered
            case .untrusted: .untrusted
            case .device: .device
            case .refused: .refused
            }
    }
}

/// Why a login came to an end without a session.
public enum StopReason: Sendable, Hashable, CaseIterable {
    /// It took too long, or the server knows it no more: start over.
    case loginExpired
    /// Too many wrong answers: start over, after ``Stop/retryAfter``.
    case tooManyAttempts
    /// The phone number leads to several customers (L5): the bank has to help.
    case customerAmbiguous
    /// The phone number is bound to another identity of this provider (U2): change it there first.
    case phoneBoundElsewhere
    /// The provider identity is bound to another account (U3): unbind it there first.
    case identityBoundElsewhere
    /// The person declined face recognition (L5): show ``Stop/alternative``.
    case faceDeclined
    /// The login succeeded but this device could not keep the session: NOT logged in. Try saving again, or start over.
    case sessionNotSaved
    /// The account center asks something that this version of the app does not know: update the app.
    case updateNeeded
    /// Another reason; show the way to the bank's service.
    case refused

    init(_ ffi: FFIStopReason) {
        self =
            switch ffi {
            case .loginExpired: .loginExpired
            case .tooManyAttempts: .tooManyAttempts
            case .customerAmbiguous: .customerAmbiguous
            case .phoneBoundElsewhere: .phoneBoundElsewhere
            case .identityBoundElsewhere: .identityBoundElsewhere
            case .faceDeclined: .faceDeclined
            case .sessionNotSaved: .sessionNotSaved
            case .updateNeeded: .updateNeeded
            case .refused: .refused
            }
    }
}

/// A way to prove who one is (L5, U2).
public enum VerificationMethod: Sendable, Hashable, CaseIterable {
    /// The login password.
    case loginPassword
    /// A registered card's number and its withdrawal password.
    case card

    init(_ ffi: FFIVerificationMethod) {
        self =
            switch ffi {
            case .loginPassword: .loginPassword
            case .card: .card
            }
    }
}

/// Why there is no consent: one vocabulary for all providers.
public enum RefusalKind: Sendable, Hashable, CaseIterable {
    /// The person said no. The only kind that is remembered (M4).
    case denied
    /// The person left the page or pressed back.
    case cancelled
    /// The app came to the foreground again without an answer.
    case returnedWithoutAnswer
    /// The provider's app is not installed, or too old.
    case appMissing
    /// Bundle id, universal link or scope do not match what is registered at the provider: for the developers, not for the person.
    case misconfigured
    /// The provider failed.
    case providerFailed
    /// The provider could not be reached.
    case network

    init(_ ffi: FFIRefusalKind) {
        self =
            switch ffi {
            case .denied: .denied
            case .cancelled: .cancelled
            case .returnedWithoutAnswer: .returnedWithoutAnswer
            case .appMissing: .appMissing
            case .misconfigured: .misconfigured
            case .providerFailed: .providerFailed
            case .network: .network
            }
    }
}

/// What to do before an operation that needs an identity (W8).
public enum IdentityAdvice: Sendable, Hashable, CaseIterable {
    /// Somebody is logged in.
    case goOn
    /// Nobody is logged in, and asking now would be bad manners or of no use.
    case goOnAsGuest
    /// Ask now.
    case askNow

    init(_ ffi: FFIIdentityAdvice) {
        self =
            switch ffi {
            case .goOn: .goOn
            case .goOnAsGuest: .goOnAsGuest
            case .askNow: .askNow
            }
    }
}

/// How the holder of a session was identified (L10).
public enum Identification: Sendable, Hashable, CaseIterable {
    /// Not logged in; a virtual user id.
    case guest
    /// Known at a provider, without a phone number.
    case identified
    /// A phone number that is on no contract with the bank.
    case unsigned
    /// A signed customer, who passed the checks of L5 or L7.
    case signed
    /// A word that this version does not know: treat it as the least.
    case unknown

    init(_ ffi: FFIIdentification) {
        self =
            switch ffi {
            case .guest: .guest
            case .identified: .identified
            case .unsigned: .unsigned
            case .signed: .signed
            case .unknown: .unknown
            }
    }
}

/// Why a login is needed again.
public enum NeedsLoginReason: Sendable, Hashable, CaseIterable {
    /// The session was ended at the account center.
    case sessionEnded
    /// It expired there, or the account center does not know it.
    case sessionExpired
    /// Its refresh token was used by somebody else; the whole family was ended.
    case refreshTokenReused
    /// The key that protects the vault is lost (restored device, changed passcode).
    case vaultKeyLost
    /// The device key that the session was bound to is lost.
    case deviceKeyLost
    /// What was kept can't be read (truncated, written by a newer version).
    case storedSessionUnreadable

    init(_ ffi: FFINeedsLoginReason) {
        self =
            switch ffi {
            case .sessionEnded: .sessionEnded
            case .sessionExpired: .sessionExpired
            case .refreshTokenReused: .refreshTokenReused
            case .vaultKeyLost: .vaultKeyLost
            case .deviceKeyLost: .deviceKeyLost
            case .storedSessionUnreadable: .storedSessionUnreadable
            }
    }
}

/// How much a log message matters.
public enum LogLevel: Sendable, Hashable, CaseIterable {
    /// A bug of the SDK; please report it.
    case error
    /// Something outside did not work; the SDK went on.
    case warn
    /// What happened, in few words.
    case info
    /// For somebody who looks for the cause of something.
    case debug

    init(_ ffi: FFILogLevel) {
        self =
            switch ffi {
            case .error: .error
            case .warn: .warn
            case .info: .info
            case .debug: .debug
            }
    }

    var ffi: FFILogLevel {
        switch self {
        case .error: .error
        case .warn: .warn
        case .info: .info
        case .debug: .debug
        }
    }
}

/// Why a ``Transport`` has no reply.
public enum TransportFailure: Sendable, Hashable, Error {
    /// Nobody could be reached; the request was surely not carried out.
    case offline
    /// The time limit passed; the request may have been carried out.
    case timedOut
    /// The server could not prove who it is.
    case tls
    /// Anything else; the request may have been carried out.
    case other

    var ffi: FFITransportFailure {
        switch self {
        case .offline: .offline
        case .timedOut: .timedOut
        case .tls: .tls
        case .other: .other
        }
    }
}
