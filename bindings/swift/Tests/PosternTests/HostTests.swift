import Foundation
import Postern
import XCTest

/// What the app supplies, when it fails.
final class HostTests: XCTestCase {
    private let center = FakeCenter()

    private func postern(_ vault: FakeVault, key: (any DeviceKey)? = nil, log: (any LogSink)? = nil) throws -> Postern {
        let postern = try Postern(
            FakeCenter.config(self),
            vault: vault,
            deviceKey: key,
            transport: center,
            log: log,
            logLevel: .debug
        )
        addTeardownBlock { postern.shutdown() }
        return postern
    }

    func testALockedVaultIsNeverTakenForSignedOut() async throws {
        for failure in [VaultError.unavailable as any Error, VaultError.failed, Boom()] {
            let vault = FakeVault()
            vault.before.value = { _, _ in throw failure }
            let session = try postern(vault).session
            let status = try await session.status()
            XCTAssertEqual(status, .unavailable, "\(failure)")
            do {
                try await session.renew()
                XCTFail("renewed")
            } catch { XCTAssertEqual(error, .unavailable) }
            vault.before.value = { _, _ in }
            let after = try await session.status()
            XCTAssertEqual(after, .signedOut)
        }
    }

    func testALostKeyOrADamagedSessionWantsALoginAndCrashesNothing() async throws {
        let lost: [(VaultError, NeedsLoginReason)] = [(.keyInvalidated, .vaultKeyLost), (.damaged, .storedSessionUnreadable)]
        for (failure, reason) in lost {
            let vault = FakeVault()
            vault.before.value = { operation, name in
                if (operation, name) == ("load", "session") { throw failure }
            }
            let status = try await postern(vault).session.status()
            XCTAssertEqual(status, .needsLogin(reason), "\(failure)")
        }
    }

    func testAVaultThatRefusesToSaveMeansNotLoggedInAndThePersonIsTold() async throws {
        center.manners.change { $0.knowsThePerson = true }
        let vault = FakeVault()
        vault.before.value = { operation, name in
            if (operation, name) == ("store", "session") { throw Boom() }
        }
        let postern = try postern(vault)
        let announced = Announced(postern.login())
        try await announced.agree(try await announced.ready())
        let (stop, step) = try await announced.stopped()
        XCTAssertEqual(stop.reason, .sessionNotSaved)
        XCTAssertTrue(stop.canTryAgain)
        guard case .signedIn = try await postern.session.status() else {
            vault.before.value = { _, _ in }
            try await step.tryAgain()
            let account = try await announced.loggedIn()
            XCTAssertEqual(account.phoneMasked, "138****0000")
            guard case .signedIn(let kept) = try await postern.session.status() else { return XCTFail("not kept") }
            XCTAssertEqual(kept.userID, account.userID)
            return
        }
        XCTFail("signed in without a saved session")
    }

    func testADeviceKeyThatThrowsAnythingIsAFailureOfTheDevice() async throws {
        for failure in [DeviceKeyError.unavailable as any Error, DeviceKeyError.failed, Boom()] {
            let announced = Announced(try postern(FakeVault(), key: FailingKey(failure: failure)).login())
            try await announced.agree(try await announced.ready())
            let found = try await announced.next { if case .ready(let info, _) = $0 { info.failure } else { nil } }
            XCTAssertEqual(found.kind, .device, "\(failure)")
        }
    }

    func testADeviceKeyOfRubbishIsAFailureAndNoCrash() async throws {
        let announced = Announced(try postern(FakeVault(), key: FailingKey(failure: nil)).login())
        try await announced.agree(try await announced.ready())
        let found = try await announced.next { if case .ready(let info, _) = $0 { info.failure } else { nil } }
        XCTAssertEqual(found.kind, .device)
    }

    func testALogThatThrowsHarmsNobodyAndNoSecretReachesIt() async throws {
        center.manners.change { $0.knowsThePerson = true }
        let log = FakeLog()
        let postern = try postern(FakeVault(), log: log)
        let announced = Announced(postern.login())
        try await announced.agree(try await announced.ready())
        _ = try await announced.loggedIn()
        try await postern.session.signOut()
        XCTAssertFalse(log.lines.value.contains { $0.contains("SECRET") || $0.contains("0815") }, "\(log.lines.value)")
    }

    func testALogMayCallTheSDK() async throws {
        let log = FakeLog()
        let postern = try postern(FakeVault(), log: log)
        let same = Box(true)
        let first = Box<Login?>(nil)
        log.also.value = { [weak postern] in
            guard let login = postern?.login() else { return }
            same.value = same.value && (first.value == nil || first.value === login)
            first.value = login
            _ = login.state
        }
        let announced = Announced(postern.login())
        try await announced.agree(try await announced.ready())
        _ = try await announced.phoneNeeded()
        log.also.value = {}
        XCTAssertTrue(same.value)
    }

    func testShutdownFromAVaultDoesNotWaitForItself() async throws {
        let vault = FakeVault()
        let postern = try postern(vault)
        let done = Box(false)
        vault.before.value = { [weak postern] _, _ in
            postern?.shutdown()
            done.value = true
        }
        let began = Date()
        let login = postern.login()
        try await eventually("shut down") { done.value && login.isClosed }
        XCTAssertLessThan(Date().timeIntervalSince(began), 1.5)
        vault.before.value = { _, _ in }
    }

    func testWhereTheSessionIsKeptCanBeTold() throws {
        let postern = try postern(FakeVault())
        XCTAssertEqual(postern.vaultDescription, "a drawer")
    }

    func testM1ARefusedConsentIsNotAskedForAgainByItself() async throws {
        let postern = try postern(FakeVault())
        let advice = try await postern.requireIdentity("order.list")
        XCTAssertEqual(advice, .askNow)
    }

    func testTheButtonsComeFromTheAccountCenter() async throws {
        let buttons = try await postern(FakeVault()).loginOptions()
        XCTAssertEqual(buttons.map(\.provider), [.weChat])
        XCTAssertEqual(buttons.first?.label.text(forLanguage: "zh-Hans"), "微信登录")
        XCTAssertEqual(buttons.first?.label.text(forLanguage: "fr"), "Continue with WeChat")
    }

    func testAWrongConfigurationSaysWhatIsWrong() throws {
        let good = try FakeCenter.config(self)
        let wrong: [(PosternConfig) -> PosternConfig] = [
            { with($0) { $0.rootKey = "x" } },
            { with($0) { $0.appID = "" } },
            { with($0) { $0.accountCenter = URL(fileURLWithPath: "/login") } },
            { with($0) { $0.totalTimeout = 0 } },
            { with($0) { $0.connectTimeout = -1 } },
            { with($0) { $0.dataDirectory = $0.accountCenter } },
        ]
        for (index, change) in wrong.enumerated() {
            XCTAssertThrowsError(try Postern(change(good), vault: .memory, transport: center), "\(index)") { error in
                guard case SetupError.configInvalid(let text) = error else { return XCTFail("\(index): \(error)") }
                XCTAssertFalse(text.isEmpty)
                XCTAssertEqual(error.localizedDescription, text)
            }
        }
    }

    func testAFolderThatCannotBeUsedIsSaidAtOnce() throws {
        let folder = URL(fileURLWithPath: "/proc/no/such/folder")
        XCTAssertThrowsError(try Postern(FakeCenter.config(self), vault: .encryptedFile(folder: folder), transport: center)) { error in
            guard case SetupError.vaultUnusable = error else { return XCTFail("\(error)") }
        }
    }
}

private func with(_ config: PosternConfig, _ change: (inout PosternConfig) -> Void) -> PosternConfig {
    var config = config
    change(&config)
    return config
}

/// Throws, or gives rubbish.
private struct FailingKey: DeviceKey {
    let failure: (any Error)?

    func publicKey() throws -> Data { try rubbish() }
    func signature(for _: Data) throws -> Data { try rubbish() }

    private func rubbish() throws -> Data {
        if let failure { throw failure }
        return Data([4, 0, 1])
    }
}
