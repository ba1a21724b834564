//! A table, as Markdown and as HTML.

use std::fmt::Write;

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) look: Look,
}

/// How a cell is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    /// As it is.
    #[default]
    Plain,
    /// The best of its column.
    Best,
    /// A failure.
    Failed,
}

/// Cells in rows, under a header.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) header: Vec<&'static str>,
    /// Columns of text, which are set flush left; they are the first ones.
    pub(crate) words: usize,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            look: Look::Plain,
        }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            look: Look::Failed,
        }
    }
}

/// A figure of a column, or a dash.
pub(crate) fn figure(value: Option<f64>, text: impl Fn(f64) -> String) -> Cell {
    Cell::new(value.map_or("–".into(), text))
}

impl Table {
    /// The table in GitHub's Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &[String]| {
            writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string succeeds");
        };
        line(
            &self
                .header
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        );
        let rule = |i| if i < self.words { "---" } else { "---:" };
        line(
            &(0..self.header.len())
                .map(|i| rule(i).to_owned())
                .collect::<Vec<_>>(),
        );
        for row in &self.rows {
            let cells = row.iter().map(|cell| {
                let text = cell.text.replace('|', "\\|").replace('<', "&lt;");
                match cell.look {
                    Look::Plain => text,
                    Look::Best => format!("**{text}**"),
                    Look::Failed => format!("*{text}*"),
                }
            });
            line(&cells.collect::<Vec<_>>());
        }
        text
    }

    /// The table in HTML.
    pub(crate) fn html(&self) -> String {
        let mut text = String::from("<div class=\"wide\"><table>\n<thead><tr>");
        let class = |i| {
            if i < self.words {
                " class=\"word\""
            } else {
                ""
            }
        };
        for (i, name) in self.header.iter().enumerate() {
            let _ = write!(text, "<th{}>{}</th>", class(i), escape(name));
        }
        text.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            text.push_str("<tr>");
            for (i, cell) in row.iter().enumerate() {
                let inner = escape(&cell.text);
                let inner = match cell.look {
                    Look::Plain => inner,
                    Look::Best => format!("<b>{inner}</b>"),
                    Look::Failed => format!("<span class=\"failed\">{inner}</span>"),
                };
                let _ = write!(text, "<td{}>{inner}</td>", class(i));
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</tbody>\n</table></div>\n");
        text
    }
}

/// Text for HTML and SVG, attributes included.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_cell() {
        let table = Table {
            header: vec!["a", "b"],
            words: 1,
            rows: vec![vec![Cell::new("x|<i>"), Cell::failed("<script>\"&")]],
        };
        assert_eq!(
            table.markdown(),
            "| a | b |\n| --- | ---: |\n| x\\|&lt;i> | *&lt;script>\"&* |\n"
        );
        assert!(table.html().contains("&lt;script&gt;&quot;&amp;"));
    }
}
