// What an app supplies. All of it is called on threads of the SDK, and whatever it throws is taken for a failure of its kind and never shown.
import Foundation
internal import PosternFFI

/// Keeps blobs by name, protected by the platform: the Keychain. Names are `[a-z_-]{1,40}`. May block.
///
/// Whatever it throws that is no ``VaultError`` counts as ``VaultError/failed``.
public protocol Vault: Sendable {
    /// The blob, or nothing where there never was one or it was deleted.
    func load(_ name: String) throws -> Data?
    /// Keeps the blob durably, replacing the old one as a whole.
    func store(_ value: Data, as name: String) throws
    /// Removes the blob; no error where there is none.
    func delete(_ name: String) throws
    /// Where, for people.
    var place: String { get }
}

/// Why a ``Vault`` did not do it. The difference decides whether somebody is signed out.
public enum VaultError: Error, Sendable, Hashable {
    /// Locked, or its service is away: what is in it is still there. Never taken for signed out.
    case unavailable
    /// The key that protects it is lost for good (another device).
    case keyInvalidated
    /// The blob is there, but it is not what was stored (truncated, tampered with): it can't be had back, the vault itself is well.
    case damaged
    /// Anything else, such as a full disk.
    case failed
}

/// A vault that comes with the SDK, for tests and for machines without a Keychain. Phones bring their own ``Vault``.
public enum BuiltInVault: Sendable, Hashable {
    /// The desktop's keyring; on a Linux without one the kernel's session keyring, whose content is gone at reboot.
    case keyring(service: String)
    /// A file, encrypted with a key file beside it: it protects a backup of the one without the other, and no more.
    case encryptedFile(folder: URL)
    /// Memory: nothing outlives the process.
    case memory

    var ffi: FFIBuiltInVault {
        switch self {
        case .keyring(let service): .keyring(service: service)
        case .encryptedFile(let folder): .encryptedFile(folder: folder.path)
        case .memory: .memory
        }
    }
}

/// An ES256 key that never leaves the device (RFC 9449): the Secure Enclave. May block, even for seconds.
public protocol DeviceKey: Sendable {
    /// The public half, an uncompressed SEC1 point (65 bytes that begin with 4); makes the key where there is none yet.
    func publicKey() throws -> Data
    /// ECDSA on P-256 with SHA-256 over `message`, encoded in DER.
    func signature(for message: Data) throws -> Data
}

/// Why a ``DeviceKey`` did not sign. Whatever else it throws counts as ``failed``.
public enum DeviceKeyError: Error, Sendable, Hashable {
    /// It can't be used at the moment (locked device, busy hardware). Nobody is signed out.
    case unavailable
    /// It is lost for good; a session bound to it can't go on.
    case invalidated
    /// Anything else.
    case failed
}

/// An HTTP stack of the app's own. It follows no redirect, repeats nothing, keeps no cookie and no cache, and sees to TLS and time limits itself.
public protocol Transport: Sendable {
    /// The reply, whatever its status (a redirect too). What it throws that is no ``TransportFailure`` counts as ``TransportFailure/other``.
    func send(_ request: TransportRequest) async throws -> TransportReply
}

/// One request for a ``Transport``. It holds tokens: nothing of it may be logged.
public struct TransportRequest: Sendable, Redacted {
    /// Such as `POST`.
    public let method: String
    /// Absolute.
    public let url: URL
    /// All headers to send besides those that HTTP itself needs; names in lower case.
    public let headers: [String: String]
    /// The body's exact bytes, empty for none. They may not be changed: their hash is in the proof.
    public let body: Data

    /// For the tests of transports; else the SDK makes it.
    public init(method: String, url: URL, headers: [String: String], body: Data) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }

    init(_ exchange: FFIHTTPExchange) throws {
        guard let url = URL(string: try exchange.url()) else { throw TransportFailure.other }
        self.init(method: try exchange.method(), url: url, headers: try exchange.headers(), body: try exchange.body())
    }

    /// The method; no more.
    public var description: String { "TransportRequest(\(method), [redacted])" }
}

/// What came back for a ``TransportRequest``. It holds tokens: nothing of it may be logged.
public struct TransportReply: Sendable, Redacted {
    /// 100 to 599.
    public let status: Int
    /// By name; capitals do not matter.
    public let headers: [String: String]
    /// The whole body.
    public let body: Data

    /// The reply as it came.
    public init(status: Int, headers: [String: String], body: Data) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The status; no more.
    public var description: String { "TransportReply(\(status), [redacted])" }
}

/// Decides whether a chain of certificates is to be trusted. Apps on Apple's systems need none: the SDK asks the platform. May block.
public protocol TrustDecision: Sendable {
    /// Whether `chain` (DER, the server's own certificate first) is to be trusted for `host` now. The name and the pins are checked besides.
    /// What it throws is a no.
    func isTrusted(chain: [Data], host: String) throws -> Bool
}

/// Receives log messages. They hold no token, code, password, phone number or name of a person.
///
/// It must return soon. What it throws is dropped.
public protocol LogSink: Sendable {
    /// One message. `area` is the part of the SDK, such as `session`.
    func log(_ level: LogLevel, area: String, message: String) throws
}
