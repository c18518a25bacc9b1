package vectors;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * {@code generate DIR}: writes each vector as NAME.bin, and Kafka's reading of it as NAME.txt.
 * {@code verify DIR}: reads each NAME.bin and compares Kafka's reading of it with NAME.txt.
 */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) throws IOException {
        if (args.length != 2 || !List.of("generate", "verify").contains(args[0])) {
            System.err.println("usage: generate DIR | verify DIR");
            System.exit(2);
        }
        Path dir = Path.of(args[1]);
        if (args[0].equals("generate")) {
            generate(dir);
        } else {
            verify(dir);
        }
    }

    private static void generate(Path dir) throws IOException {
        Files.createDirectories(dir);
        for (Map.Entry<String, byte[]> vector : Shapes.all().entrySet()) {
            Files.write(dir.resolve(vector.getKey() + ".bin"), vector.getValue());
            Files.writeString(dir.resolve(vector.getKey() + ".txt"), Reading.of(vector.getValue()));
        }
    }

    private static void verify(Path dir) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.list(dir)) {
            files = all.filter(path -> path.toString().endsWith(".bin")).sorted().toList();
        }
        int wrong = 0;
        for (Path file : files) {
            String name = file.getFileName().toString().replaceAll("\\.bin$", "");
            String expected = Files.readString(dir.resolve(name + ".txt"), StandardCharsets.UTF_8);
            String actual;
            try {
                actual = Reading.of(Files.readAllBytes(file));
            } catch (RuntimeException error) {
                actual = error.toString();
            }
            if (!actual.equals(expected)) {
                wrong++;
                System.out.println(name + ": expected\n" + expected + "but Kafka reads\n" + actual);
            }
        }
        System.out.println("verified " + files.size() + ", wrong " + wrong);
        System.exit(wrong == 0 && !files.isEmpty() ? 0 : 1);
    }
}
