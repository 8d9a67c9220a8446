import { render } from "solid-js/web";
import { Page } from "./components/Page";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/conflict.css";

const place = document.getElementById("page");
if (place !== null) render(() => <Page />, place);
