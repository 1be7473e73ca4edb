"""Writes a text file as a C byte array: embed.py NAME INPUT OUTPUT. Used by the build."""
import sys

name, source, target = sys.argv[1:]
data = open(source, "rb").read() + b"\0"
rows = ["\t" + ", ".join(str(b) for b in data[i:i + 24]) + "," for i in range(0, len(data), 24)]
with open(target, "w") as out:
    out.write(f"/* Made from {source.split('/')[-1]} by embed.py. */\n")
    out.write(f"extern const char {name}[];\nextern const unsigned {name}_size;\n")
    out.write(f"const char {name}[] = {{\n" + "\n".join(rows) + "\n};\n")
    out.write(f"const unsigned {name}_size = sizeof {name} - 1;\n")
