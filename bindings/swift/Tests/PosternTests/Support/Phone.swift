import Foundation
import Postern

/// A value behind a lock.
final class Box<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var kept: Value

    init(_ value: Value) {
        kept = value
    }

    var value: Value {
        get { lock.withLock { kept } }
        set { lock.withLock { kept = newValue } }
    }

    func change<Result>(_ body: (inout Value) -> Result) -> Result { lock.withLock { body(&kept) } }
}

/// The states of a login as they are announced, in order.
final class Announced: Sendable {
    private let waiting = Box<[LoginState]>([])
    private let observation: Box<LoginObservation?> = Box(nil)

    init(_ login: Login) {
        observation.value = login.observe { [waiting] state in waiting.change { $0.append(state) } }
    }

    /// What has been announced and not been read.
    func already() -> LoginState? { waiting.change { $0.isEmpty ? nil : $0.removeFirst() } }

    /// The next state but `resolving`. None takes longer, even with every repetition of a call behind it.
    func next(within seconds: TimeInterval = 60) async throws -> LoginState {
        let end = Date().addingTimeInterval(seconds)
        while Date() < end {
            if let state = already() {
                if case .resolving = state { continue }
                return state
            }
            try await Task.sleep(nanoseconds: 2_000_000)
        }
        throw Trouble("no state was announced for \(seconds) s")
    }
}

/// A phone with the SDK on it: a vault, and the SDK built over it as often as its process starts.
final class Phone {
    private let config: PosternConfig
    private let vault: BuiltInVault
    private var process: (postern: Postern, announced: Announced)?

    init(_ world: World, folder: URL) throws {
        config = world.config(folder: folder)
        vault = .encryptedFile(folder: folder.appendingPathComponent("vault"))
        try start()
    }

    func postern() throws -> Postern {
        guard let process else { throw Trouble("nothing runs on the phone") }
        return process.postern
    }

    func announced() throws -> Announced {
        guard let process else { throw Trouble("nothing runs on the phone") }
        return process.announced
    }

    /// Ends the process without a farewell: nothing holds the SDK any more. Then the next one starts.
    func restart() throws {
        weak var last = process?.postern
        process = nil
        if last != nil { throw Trouble("somebody holds the SDK of the process that ended") }
        try start()
    }

    private func start() throws {
        let postern = try Postern(config, vault: vault)
        process = (postern, Announced(postern.login()))
    }
}

extension World {
    /// As an integrator would have it, but for the patience (contract/scenarios.md).
    func config(folder: URL) -> PosternConfig {
        var config = PosternConfig(accountCenter: accountCenter, appID: appID, rootKey: rootKey)
        config.dataDirectory = folder.appendingPathComponent("app")
        config.connectTimeout = 2
        config.totalTimeout = 3
        return config
    }
}
