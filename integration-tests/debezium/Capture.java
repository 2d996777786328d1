// Runs the real Debezium connector of a server, embedded, on SQL scripts of this folder, and writes what it would
// give to Kafka into golden files. Called by scripts/capture-debezium; nothing else uses it. Which connector it is says
// the url: jdbc:postgresql:, jdbc:mysql:, jdbc:mariadb:.
//
//   java -cp 'libs/*' Capture.java JDBC_URL GOLDEN_FOLDER SCRIPT.sql...
//
// A script says in comments what it is made of:
//   -- run NAME [property=value]...    one golden file, with these connector properties (blanks as %20);
//                                      transforms=unwrap is ExtractNewRecordState
//   -- setup                           what follows is there before the connector starts
//   -- step                            what follows is done while it streams; the step before has arrived by then
// A line that ends in `-- mysql` or `-- mariadb` is for that server alone.
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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

public abstract class Capture {
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
            String server = args[0].split(":")[1];
            Script script = parse(Path.of(args[i]), server);
            for (Run run : script.runs) {
                Capture capture = server.equals("postgresql") ? new Postgres(args[0]) : new Binlog(args[0], server);
                List<SourceRecord> records = capture.capture(script, run);
                Path golden = Path.of(args[1], run.name + ".jsonl");
                try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(golden, StandardCharsets.UTF_8))) {
                    write(records, out);
                }
                System.out.println(golden + ": " + records.size() + " records");
            }
        }
    }

    static Script parse(Path path, String server) throws Exception {
        Script script = new Script(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        List<String> section = script.setup;
        StringBuilder statement = new StringBuilder();
        for (String line : Files.readAllLines(path)) {
            int only = line.lastIndexOf(" -- m");
            if (only > 0) {
                line = line.substring(only + 4).equals(server) ? line.substring(0, only) : "";
            }
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

    /** Makes the database, and takes what comes of the script. */
    abstract List<SourceRecord> capture(Script script, Run run) throws Exception;

    /** What the connector is told besides what the run says. */
    abstract Map<String, String> connector();

    /** Whether the connector reads the log by now. */
    abstract boolean streaming(Connection database);

    /** Writes into the log what {@link #done} knows again. */
    abstract void sayDone(Connection database) throws SQLException;

    abstract boolean done(SourceRecord record);

    /** Whether it is of what was written to tell that a step is done. */
    boolean isOurs(SourceRecord record) {
        return false;
    }

    void stream(Script script, Run run, Connection database, List<SourceRecord> records) throws Exception {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        DebeziumEngine<ChangeEvent<SourceRecord, SourceRecord>> engine = DebeziumEngine.create(Connect.class)
                .using(properties(run))
                .using((success, message, error) -> failure = success ? null : run.name + ": " + message + " " + causes(error))
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
            if (failure == null) {
                engine.close();
            }
            executor.shutdown();
            executor.awaitTermination(30, TimeUnit.SECONDS);
        }
    }

    /** Does what a step asks for, and takes what comes of it. */
    void step(Connection database, List<String> statements, List<SourceRecord> records) throws Exception {
        for (String statement : statements) {
            execute(database, statement);
        }
        sayDone(database);
        while (true) {
            SourceRecord record = arrived.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
            if (record == null || failure != null) {
                throw new IllegalStateException("the step did not arrive: " + failure);
            }
            if (done(record)) {
                return;
            }
            if (isOurs(record)) {
                continue;
            }
            if (!(record.key() instanceof Struct key && key.schema().field("serverName") != null) || records.stream().noneMatch(r -> r.topic().equals(record.topic()))) {
                records.add(record);
            }
        }
    }

    Properties properties(Run run) throws Exception {
        Properties properties = new Properties();
        properties.putAll(Map.of(
                "name", "golden",
                "offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
                "database.hostname", url.replaceAll(".*//|:.*", ""),
                "database.port", url.replaceAll(".*:|/.*", ""),
                "topic.prefix", "golden",
                "extended.headers.enabled", "false",
                "transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState",
                "poll.interval.ms", "20"));
        properties.putAll(connector());
        properties.putAll(run.properties);
        return properties;
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

    static String causes(Throwable error) {
        StringBuilder causes = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            causes.append("\n  ").append(cause);
        }
        return causes.toString();
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

    static class Postgres extends Capture {
        Postgres(String url) {
            super(url);
        }

        @Override
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
                    until(() -> !query(database, "SELECT 1 FROM pg_replication_slots WHERE database = '" + DATABASE + "'"));
                }
                execute(server, "DROP DATABASE " + DATABASE + " WITH (FORCE)");
            }
            return records;
        }

        @Override
        Map<String, String> connector() {
            return Map.of(
                    "connector.class", "io.debezium.connector.postgresql.PostgresConnector",
                    "database.user", "postgres",
                    "database.password", "postgres",
                    "database.dbname", DATABASE,
                    "plugin.name", "pgoutput",
                    "publication.autocreate.mode", "disabled",
                    "slot.drop.on.stop", "true",
                    "slot.name", "golden");
        }

        @Override
        boolean streaming(Connection database) {
            return query(database, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'");
        }

        @Override
        void sayDone(Connection database) throws SQLException {
            execute(database, "SELECT pg_logical_emit_message(false, '" + DONE + "', '')");
        }

        @Override
        boolean done(SourceRecord record) {
            return record.topic().endsWith(".message") && record.key().toString().contains(DONE);
        }

        Connection connect(String database) throws SQLException {
            return DriverManager.getConnection(
                    url.replaceAll("/$", "") + "/" + database + "?preferQueryMode=simple", "postgres", "postgres");
        }
    }

    /** MySQL and MariaDB: a row in a table of another database tells that a step is done. */
    static class Binlog extends Capture {
        final String server;
        /** The transactions that tell that a step is done. */
        final Set<String> ours = new HashSet<>();

        Binlog(String url, String server) {
            super(url);
            this.server = server;
        }

        @Override
        List<SourceRecord> capture(Script script, Run run) throws Exception {
            List<SourceRecord> records = new ArrayList<>();
            try (Connection connection = connect()) {
                execute(connection, "DROP DATABASE IF EXISTS " + DATABASE);
                execute(connection, "DROP DATABASE IF EXISTS done");
                execute(connection, "CREATE DATABASE done");
                execute(connection, "CREATE DATABASE " + DATABASE + " CHARACTER SET utf8mb4");
                execute(connection, "USE " + DATABASE);
                for (String statement : script.setup) {
                    execute(connection, statement);
                }
                stream(script, run, connection, records);
            }
            records.removeIf(record -> record.key() instanceof Struct key && key.schema().field("id") != null
                    && record.topic().endsWith(".transaction") && ours.contains(key.getString("id")));
            return records;
        }

        @Override
        Map<String, String> connector() {
            boolean mysql = server.equals("mysql");
            return Map.of(
                    "connector.class", mysql
                            ? "io.debezium.connector.mysql.MySqlConnector"
                            : "io.debezium.connector.mariadb.MariaDbConnector",
                    "database.user", "root",
                    "database.password", "",
                    "database.server.id", "4711",
                    "database.include.list", DATABASE + ",done",
                    "database.ssl.mode", mysql ? "disabled" : "disable",
                    "schema.history.internal", "io.debezium.relational.history.MemorySchemaHistory");
        }

        @Override
        boolean streaming(Connection database) {
            return query(database, "SELECT 1 FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'");
        }

        @Override
        void sayDone(Connection database) throws SQLException {
            execute(database, "CREATE TABLE IF NOT EXISTS done.done (id int PRIMARY KEY AUTO_INCREMENT)");
            execute(database, "INSERT INTO done.done VALUES ()");
        }

        @Override
        boolean done(SourceRecord record) {
            if (!record.topic().endsWith(".done.done")) {
                return false;
            }
            Struct value = (Struct) record.value();
            ours.add(value.schema().field("source") == null ? "" : value.getStruct("source").getString("gtid"));
            return true;
        }

        @Override
        boolean isOurs(SourceRecord record) {
            return record.value() instanceof Struct value && value.schema().field("databaseName") != null
                    && "done".equals(value.get("databaseName"));
        }

        Connection connect() throws SQLException {
            return DriverManager.getConnection(url, "root", "");
        }
    }
}
