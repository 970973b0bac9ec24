CREATE TABLE stock (sku text PRIMARY KEY, n int NOT NULL);
