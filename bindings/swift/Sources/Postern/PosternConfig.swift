import Foundation
internal import PosternFFI

/// What an app says once. Nothing in it is secret.
public struct PosternConfig: Sendable, Redacted {
    /// The account center's public URL: `https`, or `http` to the device itself.
    public var accountCenter: URL
    /// The app's id at the account center.
    public var appID: String
    /// The offline root's public key: an uncompressed SEC1 point on P-256, base64url.
    public var rootKey: String
    /// How the account center calls itself in its key list; by default as `accountCenter`.
    public var issuer: String?
    /// Origins (`https://api.bank.example`) whose requests get the session's headers, besides the account center.
    public var apiOrigins: [URL] = []
    /// The person's region, for the staged release (L12).
    public var region: String?
    /// The app's version, for the staged release (L12).
    public var appVersion: String?
    /// A folder of this app alone, excluded from backups: install id, and the lock between an app and its extensions.
    public var dataDirectory: URL?
    /// Public keys (`sha256/…`) of which the account center's certificate must have one, until a signed key list says others.
    public var tlsPins: [String] = []
    /// An HTTP proxy; the environment's proxies are not used.
    public var proxy: URL?
    /// Whole seconds until a connection stands.
    public var connectTimeout: Int = 10
    /// Whole seconds until a whole reply is there.
    public var totalTimeout: Int = 20

    /// What must be said; the rest has defaults.
    public init(accountCenter: URL, appID: String, rootKey: String) {
        self.accountCenter = accountCenter
        self.appID = appID
        self.rootKey = rootKey
    }

    /// Where and who; no more.
    public var description: String { "PosternConfig(\(accountCenter.host ?? "no host"), \(appID))" }

    func ffi() throws(SetupError) -> FFIConfig {
        FFIConfig(
            accountCenter: accountCenter.absoluteString,
            appId: appID,
            rootKey: rootKey,
            issuer: issuer,
            apiOrigins: apiOrigins.map(\.absoluteString),
            region: region,
            appVersion: appVersion,
            dataDir: try path(of: dataDirectory, named: "dataDirectory"),
            tlsPins: tlsPins,
            proxy: proxy?.absoluteString,
            connectTimeout: try seconds(connectTimeout, named: "connectTimeout"),
            totalTimeout: try seconds(totalTimeout, named: "totalTimeout")
        )
    }

    private func seconds(_ value: Int, named name: String) throws(SetupError) -> UInt32 {
        guard value > 0, let seconds = UInt32(exactly: value) else {
            throw .configInvalid("the configuration is wrong: \(name) must be more than 0 and fit a day")
        }
        return seconds
    }

    private func path(of url: URL?, named name: String) throws(SetupError) -> String? {
        guard let url else { return nil }
        guard url.isFileURL else { throw .configInvalid("the configuration is wrong: \(name) must be a folder") }
        return url.path
    }
}
