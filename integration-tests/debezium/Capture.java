// Runs the real Debezium Postgres connector, embedded, on the SQL scripts of this folder, and writes what it would
// give to Kafka into golden files. Called by scripts/capture-debezium; nothing else uses it.
//
//   java -cp 'libs/*' Capture.java JDBC_URL GOLDEN_FOLDER SCRIPT.sql...
//
// A script says in comments what it is made of:
//   -- run NAME [property=value]...    one golden file, with these connector properties (blanks as %20);
//                                      transforms=unwrap is ExtractNewRecordState
//   -- setup                           what follows is there before the connector starts
//   -- step                            what follows is done while it streams; the step before has arrived by then
// A golden file has one JSON object per line: a record, or the schemas of a topic before the first record under them.
// "partition" is the one that Kafka's producer chooses for the key where the topic has PARTITIONS of them. "value" is null
// for a tombstone, and also where the converter makes the text `null`; then there is "text" too.

import io.debezium.embedded.Connect;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

public class Capture {
    static final String DATABASE = "golden";
    static final String DONE = "step-done";
    static final long PATIENCE_MS = 20_000;
    static final int PARTITIONS = 3;

    record Run(String name, Map<String, String> properties) {}

    record Script(List<Run> runs, List<String> setup, List<List<String>> steps) {}

    public static void main(String[] args) {
        try {
            captureAll(args);
            System.exit(0);
        }
        catch (Throwable error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    static void captureAll(String[] args) throws Exception {
        for (int i = 2; i < args.length; i++) {
            Script script = parse(Path.of(args[i]));
            for (Run run : script.runs) {
                List<SourceRecord> records = new Capture(args[0]).capture(script, run);
                Path golden = Path.of(args[1], run.name + ".jsonl");
                try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(golden, StandardCharsets.UTF_8))) {
                    write(records, out);
                }
                System.out.println(golden + ": " + records.size() + " records");
            }
        }
    }

    static Script parse(Path path) throws Exception {
        Script script = new Script(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        List<String> section = script.setup;
        StringBuilder statement = new StringBuilder();
        for (String line : Files.readAllLines(path)) {
            if (line.startsWith("-- run ")) {
                String[] words = line.substring(7).trim().split(" +");
                Map<String, String> properties = new HashMap<>();
                for (int i = 1; i < words.length; i++) {
                    int equals = words[i].indexOf('=');
                    properties.put(words[i].substring(0, equals), words[i].substring(equals + 1).replace("%20", " "));
                }
                script.runs.add(new Run(words[0], properties));
            }
            else if (line.equals("-- step")) {
                section = new ArrayList<>();
                script.steps.add(section);
            }
            else if (!line.startsWith("--") && !line.isBlank()) {
                statement.append(line).append('\n');
                if (line.endsWith(";")) {
                    section.add(statement.toString());
                    statement.setLength(0);
                }
            }
        }
        return script;
    }

    final String url;
    final BlockingQueue<SourceRecord> arrived = new LinkedBlockingQueue<>();
    volatile String failure;

    Capture(String url) {
        this.url = url;
    }

    List<SourceRecord> capture(Script script, Run run) throws Exception {
        List<SourceRecord> records = new ArrayList<>();
        try (Connection server = connect("postgres")) {
            execute(server, "DROP DATABASE IF EXISTS " + DATABASE + " WITH (FORCE)");
            execute(server, "CREATE DATABASE " + DATABASE);
            try (Connection database = connect(DATABASE)) {
                for (String statement : script.setup) {
                    execute(database, statement);
                }
                execute(database, "CREATE PUBLICATION dbz_publication FOR ALL TABLES WITH (publish_via_partition_root)");
                stream(script, run, database, records);
            }
            execute(server, "DROP DATABASE " + DATABASE + " WITH (FORCE)");
        }
        return records;
    }

    void stream(Script script, Run run, Connection database, List<SourceRecord> records) throws Exception {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        DebeziumEngine<ChangeEvent<SourceRecord, SourceRecord>> engine = DebeziumEngine.create(Connect.class)
                .using(properties(run))
                .using((success, message, error) -> failure = success ? null : run.name + ": " + message + " " + error)
                .notifying(event -> arrived.add(event.value()))
                .build();
        executor.execute(engine);
        try {
            until(() -> streaming(database));
            for (List<String> statements : script.steps) {
                step(database, statements, records);
            }
        }
        finally {
            engine.close();
            executor.shutdown();
            executor.awaitTermination(30, TimeUnit.SECONDS);
        }
        until(() -> !query(database, "SELECT 1 FROM pg_replication_slots WHERE database = '" + DATABASE + "'"));
    }

    /** Does what a step asks for, and takes what comes of it. */
    void step(Connection database, List<String> statements, List<SourceRecord> records) throws Exception {
        for (String statement : statements) {
            execute(database, statement);
        }
        execute(database, "SELECT pg_logical_emit_message(false, '" + DONE + "', '')");
        while (true) {
            SourceRecord record = arrived.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
            if (record == null || failure != null) {
                throw new IllegalStateException("the step did not arrive: " + failure);
            }
            if (record.topic().endsWith(".message") && record.key().toString().contains(DONE)) {
                return;
            }
            if (!(record.key() instanceof org.apache.kafka.connect.data.Struct key && key.schema().field("serverName") != null) || records.stream().noneMatch(r -> r.topic().equals(record.topic()))) {
                records.add(record);
            }
        }
    }

    Properties properties(Run run) throws Exception {
        Properties properties = new Properties();
        properties.putAll(Map.of(
                "name", "golden",
                "connector.class", "io.debezium.connector.postgresql.PostgresConnector",
                "offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
                "database.hostname", url.replaceAll(".*//|:.*", ""),
                "database.port", url.replaceAll(".*:|/.*", ""),
                "database.user", "postgres",
                "database.password", "postgres",
                "database.dbname", DATABASE,
                "topic.prefix", "golden"));
        properties.putAll(Map.of(
                "plugin.name", "pgoutput",
                "publication.autocreate.mode", "disabled",
                "slot.drop.on.stop", "true",
                "slot.name", "golden",
                "extended.headers.enabled", "false",
                "transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState",
                "poll.interval.ms", "20"));
        properties.putAll(run.properties);
        return properties;
    }

    Connection connect(String database) throws SQLException {
        return DriverManager.getConnection(
                url.replaceAll("/$", "") + "/" + database + "?preferQueryMode=simple", "postgres", "postgres");
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setEscapeProcessing(false);
            statement.execute(sql);
        }
    }

    static boolean query(Connection connection, String sql) {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return rows.next();
        }
        catch (SQLException error) {
            throw new IllegalStateException(error);
        }
    }

    static boolean streaming(Connection database) {
        return query(database, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'");
    }

    void until(BooleanSupplier condition) throws InterruptedException {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.getAsBoolean()) {
            if (failure != null || System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("not in time: " + failure);
            }
            Thread.sleep(20);
        }
    }

    static void write(List<SourceRecord> records, PrintWriter out) {
        Map<String, String> schemas = new HashMap<>();
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "false", "converter.type", "value"), false);
        SimpleHeaderConverter simple = new SimpleHeaderConverter();
        simple.configure(Map.of());
        for (SourceRecord record : records) {
            String schema = "\"key\":" + schema(json, record.keySchema()) + ",\"value\":" + schema(json, record.valueSchema());
            if (record.valueSchema() != null && !schema.equals(schemas.put(record.topic(), schema))) {
                out.println("{\"schemas\":" + quoted(record.topic()) + "," + schema + "}");
            }
            byte[] key = json.fromConnectData(record.topic(), record.keySchema(), record.key());
            Integer partition = key == null ? null : BuiltInPartitioner.partitionForKey(key, PARTITIONS);
            out.print("{\"topic\":" + quoted(record.topic()) + ",\"partition\":" + partition);
            out.print(",\"key\":" + text(key));
            out.print(",\"headers\":[");
            String comma = "";
            for (Header header : record.headers()) {
                out.print(comma + "[" + quoted(header.key()));
                out.print("," + text(json.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value())));
                byte[] plain = simple.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value());
                out.print("," + (plain == null ? "null" : quoted(text(plain))) + "]");
                comma = ",";
            }
            byte[] value = json.fromConnectData(record.topic(), record.valueSchema(), record.value());
            boolean textOfNull = value != null && text(value).equals("null");
            out.println("],\"value\":" + text(value) + (textOfNull ? ",\"text\":\"null\"" : "") + "}");
        }
    }

    static String schema(JsonConverter json, Schema schema) {
        return schema == null ? "null" : json.asJsonSchema(schema).toString();
    }

    static String text(byte[] bytes) {
        return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
    }

    static String quoted(String text) {
        return com.fasterxml.jackson.databind.node.TextNode.valueOf(text).toString();
    }
}
