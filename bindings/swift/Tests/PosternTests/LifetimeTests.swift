import Foundation
import Postern
import XCTest

/// What is let go, and when. The vault tells when the library lets go: only its innermost part holds it.
final class LifetimeTests: XCTestCase {
    private struct Weak<Object: AnyObject>: @unchecked Sendable {
        weak var object: Object?
    }

    func testDroppingTheSDKFreesEverythingAlsoWithoutShutdown() async throws {
        var vault = Weak<FakeVault>()
        var postern = Weak<Postern>()
        var login = Weak<Login>()
        let states: AsyncStream<LoginState>
        let step: ReadyStep
        do {
            let held = FakeVault()
            let sdk = try Postern(FakeCenter.config(self), vault: held, transport: FakeCenter())
            vault.object = held
            postern.object = sdk
            login.object = sdk.login()
            states = sdk.login().states
            step = try await Announced(sdk.login()).ready()
        }
        XCTAssertNil(postern.object)
        XCTAssertNil(login.object)
        try await eventually("the library let the vault go, although a step is still held") { vault.object == nil }
        for await _ in states {}
        let outcome = await thrown { try await step.choose(.weChat) }
        XCTAssertEqual(outcome, .closed)
    }

    func testShutdownBreaksTheCyclesThatAnAppMakes() async throws {
        var vault = Weak<FakeVault>()
        var postern = Weak<Postern>()
        var adapter = Weak<HoldingAdapter>()
        do {
            let held = FakeVault()
            let leading = HoldingAdapter()
            let sdk = try Postern(FakeCenter.config(self), vault: held, transport: FakeCenter(), adapters: [leading])
            vault.object = held
            postern.object = sdk
            adapter.object = leading
            // Each of these holds the SDK, and the SDK holds them.
            held.holds.value = sdk
            leading.holds.value = sdk
            let login = sdk.login()
            let observation = login.observe { _ in withExtendedLifetime(sdk) {} }
            _ = try await Announced(login).ready()
            held.before.value = { _, _ in withExtendedLifetime(observation) {} }
        }
        XCTAssertNotNil(postern.object)
        postern.object?.shutdown()
        try await eventually("all is free") { vault.object == nil && postern.object == nil && adapter.object == nil }
    }

    func testAnOldStateKeepsNothingElseAlive() async throws {
        var vault = Weak<FakeVault>()
        let state: LoginState
        do {
            let held = FakeVault()
            let sdk = try Postern(FakeCenter.config(self), vault: held, transport: FakeCenter())
            vault.object = held
            state = try await Announced(sdk.login()).next(within: 20)
            sdk.shutdown()
        }
        try await eventually("the library let the vault go") { vault.object == nil }
        XCTAssertEqual(state.name, "ready")
    }

    func testShutdownMayBeRepeatedAndWhatIsUnderWayIsTold() async throws {
        let center = FakeCenter()
        let sdk = try Postern(FakeCenter.config(self), vault: .memory, transport: center)
        let phone = try await Announced(sdk.login()).toPhone()
        let before = center.logins
        center.manners.change { $0.delay = 30 }
        let task = Task { await thrown { try await phone.submit("13800000000") } }
        try await eventually("the request is under way") { center.logins > before }
        sdk.shutdown()
        sdk.shutdown()
        let outcome = await task.value
        XCTAssertEqual(outcome, .closed)
        do {
            _ = try await sdk.session.status()
            XCTFail("a session after shutdown")
        } catch { XCTAssertEqual(error, .closed) }
        do {
            _ = try await sdk.loginOptions()
            XCTFail("options after shutdown")
        } catch { XCTAssertEqual(error, .closed) }
    }

    func testManySDKsComeAndGo() async throws {
        let config = try FakeCenter.config(self)
        let before = threads()
        for round in 0..<20 {
            let sdk = try Postern(config, vault: .memory, transport: FakeCenter())
            _ = try await Announced(sdk.login()).ready()
            if round.isMultiple(of: 2) { sdk.shutdown() }
        }
        try await eventually("their threads are gone") { threads() < before + 20 }
    }

    func testAnSDKThatIsDroppedInTheMidstOfItsFirstStepsGoesToo() async throws {
        let config = try FakeCenter.config(self)
        let before = threads()
        for round in 0..<20 {
            let login = try Postern(config, vault: .memory, transport: FakeCenter()).login()
            if round.isMultiple(of: 2) { try await Task.sleep(nanoseconds: UInt64(round) * 100_000) }
            withExtendedLifetime(login) {}
        }
        try await eventually("their threads are gone") { threads() < before + 20 }
    }

    /// All of this process: twenty SDKs have at least forty. Names say nothing, for the threads that Swift starts from one of the SDK's inherit its name.
    private func threads() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))?.count ?? 0
    }
}

private final class HoldingAdapter: ProviderAdapter {
    let holds = Box<AnyObject?>(nil)
    let provider = Provider.weChat
    var isInstalled: Bool { true }
    func authorize(_: AuthorizationRequest, reply _: any ProviderReplies) {}
}
