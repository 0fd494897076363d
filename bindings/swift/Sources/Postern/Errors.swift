// Everything that the SDK throws. Each case says what the caller does next; the texts are for developers and hold no secret.
import Foundation
internal import PosternFFI

/// Why there is no SDK.
public enum SetupError: Error, Sendable, Hashable, LocalizedError {
    /// Correct the configuration; the text says which value is wrong.
    case configInvalid(String)
    /// Choose another folder, or make this one writable by the app.
    case dataFolderUnusable(String)
    /// Use another vault: this one does not exist on this system, or not in this build.
    case vaultUnusable(String)
    /// A bug of the SDK; please report it.
    case internalFailure

    /// For developers, in English.
    public var errorDescription: String? {
        switch self {
        case .configInvalid(let text): text
        case .dataFolderUnusable(let text): text
        case .vaultUnusable(let text): text
        case .internalFailure: "an internal failure"
        }
    }

    /// Whatever the library threw. What it does not name is a bug, and its text is dropped: it may hold anything.
    init(_ thrown: any Error) {
        guard let ffi = thrown as? FFISetupError else {
            self = .internalFailure
            return
        }
        self =
            switch ffi {
            case .ConfigInvalid(let text): .configInvalid(text)
            case .DataFolderUnusable(let text): .dataFolderUnusable(text)
            case .VaultUnusable(let text): .vaultUnusable(text)
            case .Internal: .internalFailure
            }
    }
}

/// Why an answer to a step was not taken. But for `superseded` and `closed` the step is still good: nothing was sent and nothing used up.
public enum StepError: Error, Sendable, Hashable, LocalizedError {
    /// Show the newest state: this step was answered already, or overtaken. Nothing was changed.
    case superseded
    /// Stop using this object: the SDK, or this login, was closed.
    case closed
    /// Ask for the phone number again: it is no number that can receive the code.
    case phoneNumberInvalid
    /// Ask for the code again: it has another number of digits than the state says.
    case smsCodeInvalid
    /// Ask for the password: there is none.
    case passwordEmpty
    /// Ask for a longer password: the state says how long.
    case passwordTooShort
    /// Ask for a shorter password: the state says how long.
    case passwordTooLong
    /// Ask for a password with more kinds of characters: the state says how many.
    case passwordTooSimple
    /// Ask for the card number again: it is not 12 to 19 digits.
    case cardNumberInvalid
    /// Ask for the card number again: a digit was mistyped.
    case cardNumberMistyped
    /// Ask for the withdrawal password again: it is not six digits.
    case withdrawalPasswordInvalid
    /// Start face recognition again: its ticket is missing or too long.
    case faceTicketInvalid
    /// Offer another way: this provider, or this way of proving, is not offered here.
    case notOffered
    /// Ignore the provider's answer: it belongs to another attempt.
    case strayAnswer
    /// A bug of the SDK; please report it. The newest state still holds.
    case internalFailure

    /// For developers, in English.
    public var errorDescription: String? {
        switch self {
        case .superseded: "this step was overtaken by a newer state"
        case .closed: "the SDK is shut down"
        case .phoneNumberInvalid: "this is no phone number that can receive a code"
        case .smsCodeInvalid: "this is no SMS code"
        case .passwordEmpty: "the password is empty"
        case .passwordTooShort: "the password is too short"
        case .passwordTooLong: "the password is too long"
        case .passwordTooSimple: "the password has too few kinds of characters"
        case .cardNumberInvalid: "this is no card number"
        case .cardNumberMistyped: "the card number has a wrong digit"
        case .withdrawalPasswordInvalid: "this is no withdrawal password"
        case .faceTicketInvalid: "this is no face ticket"
        case .notOffered: "not offered here"
        case .strayAnswer: "the provider's answer belongs to another attempt"
        case .internalFailure: "an internal failure"
        }
    }

    /// Whatever the library threw. What it does not name is a bug, and its text is dropped: it may hold anything.
    init(_ thrown: any Error) {
        guard let ffi = thrown as? FFIStepError else {
            self = .internalFailure
            return
        }
        self =
            switch ffi {
            case .Superseded: .superseded
            case .Closed: .closed
            case .PhoneNumberInvalid: .phoneNumberInvalid
            case .SmsCodeInvalid: .smsCodeInvalid
            case .PasswordEmpty: .passwordEmpty
            case .PasswordTooShort: .passwordTooShort
            case .PasswordTooLong: .passwordTooLong
            case .PasswordTooSimple: .passwordTooSimple
            case .CardNumberInvalid: .cardNumberInvalid
            case .CardNumberMistyped: .cardNumberMistyped
            case .WithdrawalPasswordInvalid: .withdrawalPasswordInvalid
            case .FaceTicketInvalid: .faceTicketInvalid
            case .NotOffered: .notOffered
            case .StrayAnswer: .strayAnswer
            case .Internal: .internalFailure
            }
    }
}

/// Why the login options could not be read.
public enum OptionsError: Error, Sendable, Hashable, LocalizedError {
    /// Offer to try again: there is no connection.
    case offline
    /// Try again later: the account center has trouble, or this device's storage is locked.
    case unavailable
    /// Advise another network or an update of the app: the server could not prove who it is.
    case untrusted
    /// Correct the configuration: the account center does not know this app, or refuses it.
    case appRefused
    /// Stop using this object: the SDK was shut down.
    case closed
    /// A bug of the SDK; please report it.
    case internalFailure

    /// For developers, in English.
    public var errorDescription: String? {
        switch self {
        case .offline: "no connection"
        case .unavailable: "not possible at the moment"
        case .untrusted: "the server's identity could not be proved"
        case .appRefused: "the account center refuses this app"
        case .closed: "the SDK is shut down"
        case .internalFailure: "an internal failure"
        }
    }

    /// Whatever the library threw. What it does not name is a bug, and its text is dropped: it may hold anything.
    init(_ thrown: any Error) {
        guard let ffi = thrown as? FFIOptionsError else {
            self = .internalFailure
            return
        }
        self =
            switch ffi {
            case .Offline: .offline
            case .Unavailable: .unavailable
            case .Untrusted: .untrusted
            case .AppRefused: .appRefused
            case .Closed: .closed
            case .Internal: .internalFailure
            }
    }
}

/// Why the session could not be used.
public enum SessionError: Error, Sendable, Hashable, LocalizedError {
    /// Offer a login: nobody is signed in.
    case signedOut
    /// Offer a login and say why (``Session/status()`` knows): the session that there was is over for good.
    case needsLogin
    /// Offer to try again: there is no connection. The person is still signed in.
    case offline
    /// Try again later: locked storage, or a server in trouble. The person is still signed in.
    case unavailable
    /// Send the request without the session: its origin is not among the configured ones.
    case originNotAllowed
    /// Correct the method or URL.
    case requestInvalid
    /// Stop using this object: the SDK was shut down.
    case closed
    /// A bug of the SDK; please report it. Nobody was signed out.
    case internalFailure

    /// For developers, in English.
    public var errorDescription: String? {
        switch self {
        case .signedOut: "nobody is signed in"
        case .needsLogin: "a new login is needed"
        case .offline: "no connection"
        case .unavailable: "not possible at the moment"
        case .originNotAllowed: "the session is not for this origin"
        case .requestInvalid: "not an HTTP method, or not an absolute URL"
        case .closed: "the SDK is shut down"
        case .internalFailure: "an internal failure"
        }
    }

    /// Whatever the library threw. What it does not name is a bug, and its text is dropped: it may hold anything.
    init(_ thrown: any Error) {
        guard let ffi = thrown as? FFISessionError else {
            self = .internalFailure
            return
        }
        self =
            switch ffi {
            case .SignedOut: .signedOut
            case .NeedsLogin: .needsLogin
            case .Offline: .offline
            case .Unavailable: .unavailable
            case .OriginNotAllowed: .originNotAllowed
            case .RequestInvalid: .requestInvalid
            case .Closed: .closed
            case .Internal: .internalFailure
            }
    }
}

/// A call into the library, with what it throws in public words. `object` is nothing once the SDK was shut down.
func stepCall<Object, Value>(
    _ object: Object?,
    _ call: (Object) async throws -> Value
) async throws(StepError) -> Value {
    guard let object else { throw .closed }
    do { return try await call(object) } catch { throw StepError(error) }
}

/// As `stepCall`.
func sessionCall<Object, Value>(
    _ object: Object?,
    _ call: (Object) async throws -> Value
) async throws(SessionError) -> Value {
    guard let object else { throw .closed }
    do { return try await call(object) } catch { throw SessionError(error) }
}
