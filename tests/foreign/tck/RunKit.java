// Runs the compatibility kit: all of its tests, or those whose ids are named.
//
//     java -cp 'FOLDER/*' RunKit.java PROPERTIES [ID...]
//
// The kit's own start class is not published in this version. Unlike that one, this refuses a
// missing file, and prints `PROBLEM: id: title: reason` for each failure of a test or of a whole
// class. The exit code is 0 even when tests fail, as with the original: a test that never began
// shows in no summary, so `run.py` counts the ids itself and trusts no total.

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.dsp.system.DspSystemLauncher;
import org.eclipse.dataspacetck.runtime.TckRuntime;

public class RunKit {
    private static final String TESTS = "org.eclipse.dataspacetck.dsp.verification";
    /** What names of tests look like; those of their classes begin with `CN_01`. */
    private static final String TEST = "[A-Z_]+:[0-9]{2}-[0-9]{2}:.*";

    public static void main(String[] arguments) throws IOException {
        var wanted = List.of(arguments).subList(1, arguments.length);
        var monitor = new ConsoleMonitor(false, false);
        var summary = TckRuntime.Builder.newInstance()
                .properties(read(Path.of(arguments[0])))
                .launcher(DspSystemLauncher.class)
                .addPackage(TESTS)
                .displayNameMatching(name -> wanted.isEmpty()
                        || !name.matches(TEST)
                        || wanted.stream().anyMatch(id -> name.startsWith(id + ":")))
                .monitor(monitor)
                .build()
                .execute();
        for (var failure : summary.getFailures()) {
            var reason = failure.getTestIdentifier().getDisplayName() + ": " + failure.getException();
            monitor.message("PROBLEM: " + reason.replaceAll("\\s+", " "));
        }
        monitor.message("Test run complete");
        // The kit leaves threads behind that would keep the process alive.
        System.exit(0);
    }

    private static Map<String, String> read(Path path) throws IOException {
        var properties = new Properties();
        try (var reader = Files.newBufferedReader(path, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        var map = new HashMap<String, String>();
        properties.forEach((name, value) -> map.put((String) name, (String) value));
        return map;
    }
}
