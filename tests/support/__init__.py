"""What tests share: records, studies, engines and servers that are made up for them."""
