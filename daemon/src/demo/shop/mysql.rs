//! The shop in MySQL and MariaDB, which differ in one statement.

use super::Shop;

/// For MySQL.
pub(super) const SHOP: Shop = Shop {
    // Not `shop`: DuckDB calls a file by its name, and asks which of the two is meant.
    schema: "store",
    tables: &TABLES,
    fill: FILL,
    analyse: "ANALYZE NO_WRITE_TO_BINLOG TABLE customers, products, orders, order_lines, stock, carts",
    work: &WORK,
    rows: ROWS,
    end: "SELECT @@GLOBAL.gtid_executed",
};

/// For MariaDB.
pub(super) const SHOP_OF_MARIADB: Shop = Shop { end: "SELECT @@GLOBAL.gtid_binlog_pos", ..SHOP };

/// The tables, and numbers to fill them with, which are in a database of their own and not copied.
const TABLES: [&str; 9] = [
    "CREATE TABLE customers (
        id bigint AUTO_INCREMENT PRIMARY KEY,
        ref char(36) NOT NULL,
        name varchar(100) NOT NULL,
        city varchar(40) CHARACTER SET latin1,
        tags set('regular', 'a \"quoted\" tag', 'wholesale') NOT NULL DEFAULT '',
        profile json,
        credit decimal(12, 2) NOT NULL DEFAULT 0,
        joined_at timestamp(6) NOT NULL DEFAULT current_timestamp(6)
    )",
    "CREATE TABLE products (
        id int PRIMARY KEY,
        sku varchar(20) NOT NULL,
        price decimal(10, 2) NOT NULL,
        weight double,
        barcode binary(8) NOT NULL,
        attributes json NOT NULL,
        released date,
        description mediumtext NOT NULL
    )",
    "CREATE TABLE orders (
        id bigint AUTO_INCREMENT PRIMARY KEY,
        customer_id bigint unsigned NOT NULL,
        status enum('new', 'paid', 'shipped', 'returned') NOT NULL DEFAULT 'new',
        total decimal(14, 2) NOT NULL,
        placed_at timestamp(6) NOT NULL DEFAULT current_timestamp(6),
        shipped_at timestamp(6) NULL,
        note text
    )",
    "CREATE TABLE order_lines (
        order_id bigint NOT NULL,
        line int NOT NULL,
        product_id int NOT NULL,
        quantity smallint unsigned NOT NULL,
        price decimal(20, 4) NOT NULL,
        PRIMARY KEY (order_id, line)
    )",
    "CREATE TABLE stock (
        product_id int PRIMARY KEY,
        on_hand int NOT NULL,
        reserved int unsigned NOT NULL DEFAULT 0,
        lead_time time NOT NULL,
        counted_at datetime(6) NOT NULL DEFAULT current_timestamp(6)
    )",
    "CREATE TABLE carts (
        session char(36) PRIMARY KEY,
        customer_id bigint,
        items json NOT NULL,
        seen_at timestamp(6) NOT NULL DEFAULT current_timestamp(6)
    )",
    "CREATE DATABASE numbers",
    "CREATE TABLE numbers.up_to_200000 (n bigint PRIMARY KEY)",
    "INSERT INTO numbers.up_to_200000
     WITH RECURSIVE few (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM few WHERE n < 499)
     SELECT high.n * 500 + low.n + 1 FROM few high, few low WHERE high.n < 400",
];

const FILL: [(&str, &str); 5] = [
    (
        "customers",
        "INSERT INTO customers (ref, name, city, tags, profile, credit, joined_at)
         SELECT uuid(), concat('Customer ', n), elt(1 + n % 4, 'Zürich', 'Malmö', 'Paris', NULL),
                CASE n % 4 WHEN 0 THEN '' WHEN 1 THEN 'regular' ELSE 'regular,a \"quoted\" tag' END,
                CASE WHEN n % 5 > 0 THEN json_object('level', n % 7, 'news', n % 2 = 0) END,
                n % 10000 / 7.0, now(6) - INTERVAL n * 7 MINUTE
         FROM numbers.up_to_200000 WHERE n <= 50000",
    ),
    (
        "products",
        "INSERT INTO products
         SELECT n, concat('SKU-', n), n % 900 + 0.99, CASE WHEN n % 9 > 0 THEN sqrt(n) END,
                unhex(rpad(hex(n), 16, '0')),
                json_object('colour', elt(1 + n % 3, 'red', 'green', 'blue'), 'height', n / 3.0),
                CASE WHEN n % 8 > 0 THEN date '2020-01-01' + INTERVAL n % 2000 DAY END,
                (SELECT group_concat(sha2(concat(all_of_them.n, '/', part.n), 256) SEPARATOR ' ')
                 FROM numbers.up_to_200000 part WHERE part.n <= 50)
         FROM numbers.up_to_200000 all_of_them WHERE n <= 4000",
    ),
    (
        "orders",
        "INSERT INTO orders (customer_id, status, total, placed_at, shipped_at, note)
         SELECT 1 + n % 50000, 1 + n % 4, n % 50000 / 3.0, now(6) - INTERVAL n * 11 SECOND,
                CASE WHEN n % 4 > 1 THEN now(6) - INTERVAL n * 10 SECOND END,
                CASE WHEN n % 6 = 0 THEN 'leave it\\nat the \"door\" — thanks' END
         FROM numbers.up_to_200000",
    ),
    (
        "order_lines",
        "INSERT INTO order_lines
         SELECT n, line, 1 + n * line % 4000, 1 + n % 5, n % 900 + line / 10.0
         FROM numbers.up_to_200000, (SELECT 1 AS line UNION ALL SELECT 2 UNION ALL SELECT 3) three",
    ),
    (
        "stock",
        "INSERT INTO stock (product_id, on_hand, lead_time)
         SELECT n, n % 500, sec_to_time(n * 21 % 86400) FROM numbers.up_to_200000 WHERE n <= 4000",
    ),
];

const WORK: [&[&str]; 7] = [
    &[
        "INSERT INTO orders (customer_id, total, note)
         VALUES (1 + $1 % 50000, $1 % 100000 / 7.0, 'fresh from the traffic')",
        "INSERT INTO order_lines
         SELECT last_insert_id(), line, 1 + ($1 + line) % 4000, 1 + line, line + 0.5
         FROM (SELECT 1 AS line UNION ALL SELECT 2 UNION ALL SELECT 3) three",
    ],
    &["UPDATE stock SET on_hand = on_hand - 1, counted_at = now(6) WHERE product_id = 1 + $1 % 4000"],
    &["UPDATE orders SET status = 'shipped', shipped_at = now(6) WHERE id = 1 + $1 % 200000"],
    &["UPDATE products SET price = price + 0.01 WHERE id = 1 + $1 % 4000"],
    &[
        "UPDATE customers SET credit = credit + 1.25, profile = json_object('last', $1) WHERE id = 1 + $1 % 50000",
    ],
    &["DELETE FROM order_lines WHERE order_id = 1 + $1 % 200000 AND line = 3"],
    &["INSERT INTO carts (session, customer_id, items)
       VALUES (uuid(), 1 + $1 % 50000, json_array($1, 'and more'))"],
];

/// Times without the zeros that end them, moments with their zone, bytes in hexadecimal digits.
const ROWS: [&str; 6] = [
    "SELECT id, ref, name, city, tags, profile, credit,
            concat(trim(TRAILING '.' FROM trim(TRAILING '0' FROM joined_at)), '+00') FROM customers",
    "SELECT id, sku, price, weight, concat('\\\\x', lower(hex(barcode))), attributes, released, description FROM products",
    "SELECT id, customer_id, status, total,
            concat(trim(TRAILING '.' FROM trim(TRAILING '0' FROM placed_at)), '+00'),
            concat(trim(TRAILING '.' FROM trim(TRAILING '0' FROM shipped_at)), '+00'), note, gift FROM orders",
    "SELECT order_id, line, product_id, quantity, price FROM order_lines",
    "SELECT product_id, on_hand, reserved, lead_time,
            trim(TRAILING '.' FROM trim(TRAILING '0' FROM counted_at)) FROM stock",
    "SELECT session, customer_id, items,
            concat(trim(TRAILING '.' FROM trim(TRAILING '0' FROM seen_at)), '+00') FROM carts",
];
