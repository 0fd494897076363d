import dev.postern.sdk.BuiltInVault;
import dev.postern.sdk.LogLevel;
import dev.postern.sdk.Postern;
import dev.postern.sdk.PosternConfig;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.List;
import kotlin.coroutines.EmptyCoroutineContext;
import kotlinx.coroutines.BuildersKt;

/** How long the SDK takes in a fresh JVM: JNA's own load, then construct, then read the session. One line of milliseconds, by the clock and of the thread's CPU time. */
final class Startup {
    private static final String ROOT_KEY =
        "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static long wall;
    private static long cpu;

    public static void main(String[] arguments) throws Exception {
        // What an app has loaded anyway: the coroutines.
        BuildersKt.runBlocking(EmptyCoroutineContext.INSTANCE, (scope, continuation) -> null);
        since();
        com.sun.jna.Native.getNativeSize(com.sun.jna.Pointer.class);
        String jna = since();
        PosternConfig config = new PosternConfig("https://login.bank.example", "bank-android", ROOT_KEY);
        Postern postern = Postern.create(
            config, new BuiltInVault.EncryptedFile(arguments[0]), null, null, null, List.of(), null, null, LogLevel.INFO);
        String constructed = since();
        BuildersKt.runBlocking(
            EmptyCoroutineContext.INSTANCE, (scope, continuation) -> postern.getSession().status(continuation));
        System.out.println("jna " + jna + ", load and construct " + constructed + ", read the session " + since());
        postern.close();
    }

    /** Milliseconds since the last call: by the clock, and of this thread's CPU time. */
    private static String since() {
        long nowWall = System.nanoTime();
        long nowCpu = THREADS.getCurrentThreadCpuTime();
        String text = String.format("%.1f (%.1f CPU)", (nowWall - wall) / 1e6, (nowCpu - cpu) / 1e6);
        wall = System.nanoTime();
        cpu = THREADS.getCurrentThreadCpuTime();
        return text;
    }
}
