package dev.postern.sdk

import dev.postern.sdk.ffi.InternalException
import dev.postern.sdk.ffi.OptionsException as FfiOptionsException
import dev.postern.sdk.ffi.SessionException as FfiSessionException
import dev.postern.sdk.ffi.SetupException as FfiSetupException
import dev.postern.sdk.ffi.StepException as FfiStepException
import java.util.concurrent.CancellationException

/** Everything that the SDK throws by itself. Each class says what the caller does next; messages are for developers and hold no secret. */
public sealed class PosternException(message: String) : Exception(message)

/** Why there is no SDK. */
public sealed class SetupException(message: String) : PosternException(message) {
    /** Correct the configuration; the message says which value is wrong. */
    public class ConfigInvalid internal constructor(message: String) : SetupException(message)

    /** Choose another folder, or make this one writable by the app. */
    public class DataFolderUnusable internal constructor(message: String) : SetupException(message)

    /** Use another vault: this one does not exist on this system, or not in this build. */
    public class VaultUnusable internal constructor(message: String) : SetupException(message)

    /** The native library is missing, or does not match this version; correct the packaging. */
    public class LibraryUnusable internal constructor(message: String) : SetupException(message)

    /** A bug of the SDK; please report it. */
    public class Internal internal constructor(message: String) : SetupException(message)
}

/** Why an answer to a step was not taken. But for [Superseded] and [Closed] the step is still good: nothing was sent and nothing used up. */
public sealed class StepException(message: String) : PosternException(message) {
    /** Show the newest state: this step was answered already, or overtaken. Nothing was changed. */
    public class Superseded internal constructor(message: String) : StepException(message)

    /** Stop using this object: the SDK, or this login, was closed. */
    public class Closed internal constructor(message: String) : StepException(message)

    /** Ask for the phone number again: it is no number that can receive the code. */
    public class PhoneNumberInvalid internal constructor(message: String) : StepException(message)

    /** Ask for the code again: it has another number of digits than the state says. */
    public class SmsCodeInvalid internal constructor(message: String) : StepException(message)

    /** Ask for the password: there is none. */
    public class PasswordEmpty internal constructor(message: String) : StepException(message)

    /** Ask for a longer password: the state says how long. */
    public class PasswordTooShort internal constructor(message: String) : StepException(message)

    /** Ask for a shorter password: the state says how long. */
    public class PasswordTooLong internal constructor(message: String) : StepException(message)

    /** Ask for a password with more kinds of characters: the state says how many. */
    public class PasswordTooSimple internal constructor(message: String) : StepException(message)

    /** Ask for the card number again: it is not 12 to 19 digits. */
    public class CardNumberInvalid internal constructor(message: String) : StepException(message)

    /** Ask for the card number again: a digit was mistyped. */
    public class CardNumberMistyped internal constructor(message: String) : StepException(message)

    /** Ask for the withdrawal password again: it is not six digits. */
    public class WithdrawalPasswordInvalid internal constructor(message: String) : StepException(message)

    /** Start face recognition again: its ticket is missing or too long. */
    public class FaceTicketInvalid internal constructor(message: String) : StepException(message)

    /** Offer another way: this provider, or this way of proving, is not offered here. */
    public class NotOffered internal constructor(message: String) : StepException(message)

    /** Ignore the provider's answer: it belongs to another attempt. */
    public class StrayAnswer internal constructor(message: String) : StepException(message)

    /** A bug of the SDK; please report it. The newest state still holds. */
    public class Internal internal constructor(message: String) : StepException(message)
}

/** Why the login options could not be read. */
public sealed class OptionsException(message: String) : PosternException(message) {
    /** Offer to try again: there is no connection. */
    public class Offline internal constructor(message: String) : OptionsException(message)

    /** Try again later: the account center has trouble, or this device's storage is locked. */
    public class Unavailable internal constructor(message: String) : OptionsException(message)

    /** Advise another network or an update of the app: the server could not prove who it is. */
    public class Untrusted internal constructor(message: String) : OptionsException(message)

    /** Correct the configuration: the account center does not know this app, or refuses it. */
    public class AppRefused internal constructor(message: String) : OptionsException(message)

    /** Stop using this object: the SDK was closed. */
    public class Closed internal constructor(message: String) : OptionsException(message)

    /** A bug of the SDK; please report it. */
    public class Internal internal constructor(message: String) : OptionsException(message)
}

/** Why the session could not be used. */
public sealed class SessionException(message: String) : PosternException(message) {
    /** Offer a login: nobody is signed in. */
    public class SignedOut internal constructor(message: String) : SessionException(message)

    /** Offer a login and say why ([Session.status] knows): the session that there was is over for good. */
    public class NeedsLogin internal constructor(message: String) : SessionException(message)

    /** Offer to try again: there is no connection. The person is still signed in. */
    public class Offline internal constructor(message: String) : SessionException(message)

    /** Try again later: locked storage, or a server in trouble. The person is still signed in. */
    public class Unavailable internal constructor(message: String) : SessionException(message)

    /** Send the request without the session: its origin is not among the configured ones. */
    public class OriginNotAllowed internal constructor(message: String) : SessionException(message)

    /** Correct the method or URL. */
    public class RequestInvalid internal constructor(message: String) : SessionException(message)

    /** Stop using this object: the SDK was closed. */
    public class Closed internal constructor(message: String) : SessionException(message)

    /** A bug of the SDK; please report it. Nobody was signed out. */
    public class Internal internal constructor(message: String) : SessionException(message)
}

private const val INTERNAL = "an internal failure"
private const val CLOSED = "the SDK is shut down"

internal fun FfiSetupException.toPublic(): SetupException {
    val text = message ?: INTERNAL
    return when (this) {
        is FfiSetupException.ConfigInvalid -> SetupException.ConfigInvalid(text)
        is FfiSetupException.DataFolderUnusable -> SetupException.DataFolderUnusable(text)
        is FfiSetupException.VaultUnusable -> SetupException.VaultUnusable(text)
        is FfiSetupException.Internal -> SetupException.Internal(text)
    }
}

internal fun FfiStepException.toPublic(): StepException {
    val text = message ?: INTERNAL
    return when (this) {
        is FfiStepException.Superseded -> StepException.Superseded(text)
        is FfiStepException.Closed -> StepException.Closed(text)
        is FfiStepException.PhoneNumberInvalid -> StepException.PhoneNumberInvalid(text)
        is FfiStepException.SmsCodeInvalid -> StepException.SmsCodeInvalid(text)
        is FfiStepException.PasswordEmpty -> StepException.PasswordEmpty(text)
        is FfiStepException.PasswordTooShort -> StepException.PasswordTooShort(text)
        is FfiStepException.PasswordTooLong -> StepException.PasswordTooLong(text)
        is FfiStepException.PasswordTooSimple -> StepException.PasswordTooSimple(text)
        is FfiStepException.CardNumberInvalid -> StepException.CardNumberInvalid(text)
        is FfiStepException.CardNumberMistyped -> StepException.CardNumberMistyped(text)
        is FfiStepException.WithdrawalPasswordInvalid -> StepException.WithdrawalPasswordInvalid(text)
        is FfiStepException.FaceTicketInvalid -> StepException.FaceTicketInvalid(text)
        is FfiStepException.NotOffered -> StepException.NotOffered(text)
        is FfiStepException.StrayAnswer -> StepException.StrayAnswer(text)
        is FfiStepException.Internal -> StepException.Internal(text)
    }
}

internal fun FfiOptionsException.toPublic(): OptionsException {
    val text = message ?: INTERNAL
    return when (this) {
        is FfiOptionsException.Offline -> OptionsException.Offline(text)
        is FfiOptionsException.Unavailable -> OptionsException.Unavailable(text)
        is FfiOptionsException.Untrusted -> OptionsException.Untrusted(text)
        is FfiOptionsException.AppRefused -> OptionsException.AppRefused(text)
        is FfiOptionsException.Closed -> OptionsException.Closed(text)
        is FfiOptionsException.Internal -> OptionsException.Internal(text)
    }
}

internal fun FfiSessionException.toPublic(): SessionException {
    val text = message ?: INTERNAL
    return when (this) {
        is FfiSessionException.SignedOut -> SessionException.SignedOut(text)
        is FfiSessionException.NeedsLogin -> SessionException.NeedsLogin(text)
        is FfiSessionException.Offline -> SessionException.Offline(text)
        is FfiSessionException.Unavailable -> SessionException.Unavailable(text)
        is FfiSessionException.OriginNotAllowed -> SessionException.OriginNotAllowed(text)
        is FfiSessionException.RequestInvalid -> SessionException.RequestInvalid(text)
        is FfiSessionException.Closed -> SessionException.Closed(text)
        is FfiSessionException.Internal -> SessionException.Internal(text)
    }
}

/**
 * What a call into the library threw, in public words. A generated object that was destroyed throws IllegalStateException, which is also the parent of
 * CancellationException: a cancelled coroutine must not be taken for that.
 *
 * [InternalException] carries a panic's text or a converter's: it is dropped.
 */
internal fun <E : PosternException> translated(
    thrown: Exception,
    destroyed: (String) -> E,
    internal: (String) -> E,
): Exception = when (thrown) {
    is CancellationException -> thrown
    is PosternException -> thrown
    is FfiSetupException -> thrown.toPublic()
    is FfiStepException -> thrown.toPublic()
    is FfiOptionsException -> thrown.toPublic()
    is FfiSessionException -> thrown.toPublic()
    is IllegalStateException -> destroyed(CLOSED)
    is InternalException -> internal(INTERNAL)
    else -> internal(INTERNAL)
}

internal inline fun <T> sessionCall(call: () -> T): T = try {
    call()
} catch (thrown: Exception) {
    throw translated(thrown, { SessionException.Closed(it) }, { SessionException.Internal(it) })
}

internal inline fun <T> optionsCall(call: () -> T): T = try {
    call()
} catch (thrown: Exception) {
    throw translated(thrown, { OptionsException.Closed(it) }, { OptionsException.Internal(it) })
}

internal inline fun <T> closableCall(call: () -> T): T = try {
    call()
} catch (thrown: Exception) {
    throw translated(thrown, { StepException.Closed(it) }, { StepException.Internal(it) })
}
