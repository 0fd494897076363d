import Postern
import XCTest

import func PosternFFI.testingLivingLogins
import func PosternFFI.testingLivingPosterns
import func PosternFFI.testingLivingSteps
import func PosternFFI.testingPanic

/// What only the library itself can tell: how many of its objects live, and what becomes of a panic.
final class HookTests: XCTestCase {
    func testOvertakenStepsAreFreedWhileTheLoginGoesOn() async throws {
        try await eventually("the tests before have let go") { try testingLivingPosterns() == 0 && testingLivingSteps() == 0 }
        let sdk = try Postern(FakeCenter.config(self), vault: .memory, transport: FakeCenter())
        do {
            let announced = Announced(sdk.login())
            try await announced.toPhone().submit("13800000000")
            _ = try await announced.smsCodeNeeded()
        }
        try await eventually("one step lives: that of the present state") { try testingLivingSteps() == 1 }
        XCTAssertEqual([try testingLivingPosterns(), try testingLivingLogins()], [1, 1])
        sdk.login().close()
        try await eventually("no login lives") { try testingLivingLogins() == 0 }
        sdk.shutdown()
        try await eventually("nothing lives, although the app holds the facade") { try testingLivingPosterns() == 0 }
    }

    func testAPanicInTheLibraryIsAnErrorAndEndsNoApp() {
        XCTAssertThrowsError(try testingPanic()) { error in
            XCTAssertEqual("\(error)".contains("a panic that a test asked for"), false, "\(error)")
        }
    }
}
