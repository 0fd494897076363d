// The app's objects as the generated code wants them. Each catches everything: what the generated code can't name it would hand on with its text.
import Foundation
internal import PosternFFI

final class VaultAdapter: FFIVault {
    private let vault: any Vault

    init(_ vault: any Vault) {
        self.vault = vault
    }

    func load(name: String) throws -> Data? { try guarded { try vault.load(name) } }
    func store(name: String, value: Data) throws { try guarded { try vault.store(value, as: name) } }
    func delete(name: String) throws { try guarded { try vault.delete(name) } }
    func description() throws -> String { vault.place }

    private func guarded<Value>(_ call: () throws -> Value) throws -> Value {
        do { return try call() } catch {
            throw switch error as? VaultError {
            case .unavailable: FFIVaultError.Unavailable
            case .keyInvalidated: FFIVaultError.KeyInvalidated
            case .damaged: FFIVaultError.Damaged
            case .failed, nil: FFIVaultError.Failed
            }
        }
    }
}

final class DeviceKeyAdapter: FFIDeviceKey {
    private let key: any DeviceKey

    init(_ key: any DeviceKey) {
        self.key = key
    }

    func publicKey() throws -> Data { try guarded { try key.publicKey() } }
    func sign(message: Data) throws -> Data { try guarded { try key.signature(for: message) } }

    private func guarded(_ call: () throws -> Data) throws -> Data {
        do { return try call() } catch {
            throw switch error as? DeviceKeyError {
            case .unavailable: FFIDeviceKeyError.Unavailable
            case .invalidated: FFIDeviceKeyError.Invalidated
            case .failed, nil: FFIDeviceKeyError.Failed
            }
        }
    }
}

final class TransportAdapter: FFITransport {
    private let transport: any Transport

    init(_ transport: any Transport) {
        self.transport = transport
    }

    func send(exchange: FFIHTTPExchange) throws {
        let request: TransportRequest
        do { request = try TransportRequest(exchange) } catch { throw FFICallbackError.Failed }
        Task { [transport] in
            // Nobody may wait any more; then completing it fails, and that is all.
            do {
                let reply = try await transport.send(request)
                try? exchange.reply(status: UInt16(clamping: reply.status), headers: reply.headers, body: reply.body)
            } catch {
                try? exchange.fail(failure: (error as? TransportFailure ?? .other).ffi)
            }
        }
    }
}

final class TrustAdapter: FFITrustDecision {
    private let trust: any TrustDecision

    init(_ trust: any TrustDecision) {
        self.trust = trust
    }

    func isTrusted(chain: [Data], host: String) throws -> Bool {
        do { return try trust.isTrusted(chain: chain, host: host) } catch { throw FFICallbackError.Failed }
    }
}

final class LogAdapter: FFILog {
    private let sink: any LogSink

    init(_ sink: any LogSink) {
        self.sink = sink
    }

    func log(level: FFILogLevel, area: String, message: String) throws {
        do { try sink.log(LogLevel(level), area: area, message: message) } catch { throw FFICallbackError.Failed }
    }
}

/// What an app supplies besides its vault, as the generated code takes it.
struct HostParts {
    let key: (any FFIDeviceKey)?
    let http: (any FFITransport)?
    let trust: (any FFITrustDecision)?
    let sink: (any LogSink)?
    let log: (any FFILog)?
    let level: FFILogLevel

    init(
        _ deviceKey: (any DeviceKey)?, _ transport: (any Transport)?, _ trust: (any TrustDecision)?, _ sink: (any LogSink)?, _ level: LogLevel
    ) {
        key = deviceKey.map(DeviceKeyAdapter.init)
        http = transport.map(TransportAdapter.init)
        self.trust = trust.map(TrustAdapter.init)
        self.sink = sink
        log = sink.map(LogAdapter.init)
        self.level = level.ffi
    }
}
